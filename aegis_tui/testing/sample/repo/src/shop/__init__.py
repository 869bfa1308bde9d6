"""A small shop behind an HTTP interface."""

__version__ = "0.3.0"
