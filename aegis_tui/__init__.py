"""aegis-tui: a terminal workspace for many coding agents on one repository."""

__version__ = "0.1.0"
