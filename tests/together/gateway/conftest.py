"""The village of the unit tests, for what happens at once."""

from gridtalk.gateway.conftest import village

__all__ = ["village"]
