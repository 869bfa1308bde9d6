"""Merging one file of two sides by its structure, and proving that the result loses and doubles nothing (GIT-3)."""
