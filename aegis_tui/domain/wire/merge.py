"""What `aegis-tui merge` prints with `--json` (contract 9)."""

from __future__ import annotations

from typing import TypedDict

from aegis_tui.domain.run.report_model import LeftOutReport


class PlannedPiece(TypedDict):
    """A piece, at its place in the order of merging."""

    piece: str
    status: str
    depends_on: list[str]
    files: int
    """How many files it changes, as far as it has been submitted."""
    shares: list[str]
    """The pieces that change some of these files too."""


class MergePlanOutput(TypedDict):
    """`merge plan`."""

    run: str
    partial: bool
    """Whether the run may end without pieces that fail."""
    order: list[PlannedPiece]
    left_out: list[LeftOutReport]
