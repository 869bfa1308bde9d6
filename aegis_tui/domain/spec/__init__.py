"""Specs: pieces of work that are known, wait for others, and are claimed."""
