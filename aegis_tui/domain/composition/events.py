"""The events of a composition from which pieces are left out (FLOW-7, FLOW-10)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aegis_tui.domain.merge.merged_file import MergedFile
from aegis_tui.domain.model import EventData


class PartialAllowed(EventData):
    """A person allowed that pieces are left out of the result."""

    type: Literal["run:partial-allowed"] = "run:partial-allowed"
    run: str
    by: str


class CulpritsSought(EventData):
    """QA failed and no round is left: the hub now looks for the pieces that break it, so that the others are kept."""

    type: Literal["merge:culprits-sought"] = "merge:culprits-sought"
    run: str
    oid: str
    reason: str


class PieceLeftOut(EventData):
    """A piece is left out of the result; its commits are kept."""

    type: Literal["piece:left-out"] = "piece:left-out"
    run: str
    piece: str
    reason: str


class MergeRebuilt(EventData):
    """The pieces that are kept were merged again, without the others: the working ref moved to `oid`."""

    type: Literal["merge:rebuilt"] = "merge:rebuilt"
    run: str
    oid: str
    merged: dict[str, tuple[MergedFile, ...]] = Field(default_factory=dict)
    """Piece -> the files that both it and those before it changed, with what merged them (GIT-3)."""


CompositionEvent = PartialAllowed | CulpritsSought | PieceLeftOut | MergeRebuilt
