"""Locks: who holds what, who waits, and what a write under a lock is worth."""
