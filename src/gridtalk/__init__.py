"""Gridtalk: one server for prepaid mini-grids and the devices on them."""

__version__ = "0.1.0"
