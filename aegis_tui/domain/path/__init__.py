"""Paths: file names as text, indexes of paths, and paths that git treats specially."""
