"""Checking a device's code before its download: a compiler or linter, shut in.

``options`` (what a basic file asks for), ``messages`` and ``gcc`` are pure; ``sandbox`` starts
programs, ``tools`` says which. ``launch.py`` and ``python_child.py`` are run by the child itself.
"""
