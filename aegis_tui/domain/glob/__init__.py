"""Globs: how they are read, what they match, and where two of them meet."""
