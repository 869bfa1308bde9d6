"""Where the lenses of review come from: files that a team can edit or add to (ROLE-9)."""

from __future__ import annotations

from collections.abc import Callable

from aegis_tui.domain.review.lens import ReviewLens

FindLens = Callable[[str], ReviewLens]
"""Name -> the lens; reads files. Raises `UsageError` when there is none of that name, or its file does not fit."""
