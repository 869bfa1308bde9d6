"""Pieces: the work that one instance submits, and how pieces are merged into one tree."""
