"""Scopes: which paths an instance may write, and how it asks for more."""
