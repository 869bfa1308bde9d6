"""How a review lens is found by name; lenses are files that a team can edit or add (ROLE-9)."""

from __future__ import annotations

from collections.abc import Callable

from aegis_tui.domain.review.lens import ReviewLens

FindLens = Callable[[str], ReviewLens]
"""Reads the lens of a name from its file. Raises `UsageError` when there is none or its file is not valid."""
