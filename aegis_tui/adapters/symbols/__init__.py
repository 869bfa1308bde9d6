"""Adapters of the port `SymbolReader`."""
