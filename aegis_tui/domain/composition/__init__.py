"""Composition: the order of pieces, the search for those that break a batch, and leaving pieces out."""
