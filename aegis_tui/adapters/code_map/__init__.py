"""Derives the code map from source text and keeps it in SQLite; implements `ports/code_map.py`."""
