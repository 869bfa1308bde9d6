"""What `aegis-tui merge` prints with `--json` (contract 9)."""

from __future__ import annotations

from typing import TypedDict

from aegis_tui.domain.run.report_model import LeftOutReport
from aegis_tui.domain.wire.piece import MergedFileFields


class PredictedMerge(TypedDict):
    """A file that two pieces change, before both are merged."""

    path: str
    other: str
    """The other piece, or `integration`."""
    kind: str
    label: str | None
    strategy: str | None
    reason: str


class PlannedPiece(TypedDict):
    """A piece, at its place in the order of merging."""

    piece: str
    status: str
    depends_on: list[str]
    files: int
    """How many files it changes, as far as it has been submitted."""
    shares: list[str]
    """The pieces that change some of these files too."""
    merged: list[MergedFileFields]
    """The files that others had changed too when it was merged, with what merged them and what is known about that."""
    predicted: list[PredictedMerge]
    """The files that it and another piece both change and that are not merged yet, with what their merge would give."""


class MergePlanOutput(TypedDict):
    """`merge plan`."""

    run: str
    partial: bool
    """Whether the run may end without pieces that fail."""
    order: list[PlannedPiece]
    left_out: list[LeftOutReport]
