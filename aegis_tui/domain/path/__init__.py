"""Paths: names of files as text, and what git makes of them."""
