"""The commands that leave pieces out of a composition: a person's, and the hub's own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from aegis_tui.domain.field import Name
from aegis_tui.domain.merge.merged_file import MergedFile
from aegis_tui.domain.model import CommandData, FrozenModel


class LeftOut(FrozenModel):
    """A piece that cannot stay in the result, and why."""

    piece: str
    reason: str


class MergeApply(CommandData):
    """Allow a result without the pieces that fail, and leave out those in `leave_out`. Only for the person."""

    type: Literal["merge:apply"] = "merge:apply"
    run: Name | None = None
    leave_out: tuple[Annotated[str, Field(max_length=100)], ...] = Field((), max_length=100)


class CulpritsMarkFound(CommandData):
    """Report which pieces break QA of the merged tree; none if no piece was found to break it."""

    type: Literal["merge:mark-culprits"] = "merge:mark-culprits"
    run: str
    oid: str
    culprits: tuple[LeftOut, ...]


class MergeMarkRebuilt(CommandData):
    """Report the commit of the kept pieces, or which of them cannot be merged without those that are left out."""

    type: Literal["merge:mark-rebuilt"] = "merge:mark-rebuilt"
    run: str
    instead_of: str
    oid: str
    refused: tuple[LeftOut, ...] = ()
    merged: dict[str, tuple[MergedFile, ...]] = Field(
        default_factory=dict
    )  # piece -> the files that others changed too


CompositionClientCommand = MergeApply
CompositionHubCommand = CulpritsMarkFound | MergeMarkRebuilt
