"""Globs: how they are read, which paths they match, and whether two of them overlap."""
