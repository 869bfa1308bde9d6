"""Implementations of the port `SymbolReader`."""
