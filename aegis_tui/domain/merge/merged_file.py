"""A file that two sides changed and that was merged, with its label (GIT-3)."""

from __future__ import annotations

from aegis_tui.domain.merge.label import FileLabel, Strategy
from aegis_tui.domain.model import FrozenModel


class MergedFile(FrozenModel):
    """One file that both sides of a merge changed."""

    path: str
    label: FileLabel
    strategy: Strategy | None = None
    """What merged it; None if nothing did."""
    reason: str = ""
    """Why it is refused, or what keeps it from being proven; for `verified`, on which tree QA ran."""
