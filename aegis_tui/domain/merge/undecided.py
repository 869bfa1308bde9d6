"""The exception with which a rule leaves a conflict to others."""

from __future__ import annotations


class Undecided(Exception):
    """The changes of the two sides exclude each other, or no rule knows that they do not; its text says where."""
