"""Reads the work on a piece as it stands, when a review of it is requested while it goes on (REV-1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.piece.model import PieceStatus
from aegis_tui.domain.review.commands import ReviewPart, ReviewRequest
from aegis_tui.domain.workspace import Workspace
from aegis_tui.hub.engine import Engine
from aegis_tui.sdk.discovery import WorkspacePaths

ReadPart = Callable[[Path, str], Awaitable[ReviewPart]]
"""Takes a worktree and the commit that the piece is based on; returns the work in it. Raises GitError if git fails."""


class PartReviewService:
    """Fills in what a `review:request` is about; it moves no ref and changes no file of the worktree.

    Args:
        read: Reads the work in a worktree.
    """

    def __init__(self, read: ReadPart) -> None:
        self._read = read
        self._engine: Engine | None = None

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Begin to fill in commands."""
        self._engine = engine

    async def stop(self) -> None:
        """Do nothing: the service has no tasks."""

    def prepare(self, command: AnyCommand, actor: Actor) -> Awaitable[AnyCommand] | None:
        """Return an awaitable of a `review:request` with the work of the piece as it stands; None for other commands.

        It stays without where nobody works on the piece; the rule says why.

        Raises:
            GitError: When awaited: the worktree cannot be read.
        """
        return self._filled(command) if isinstance(command, ReviewRequest) else None

    async def _filled(self, command: ReviewRequest) -> ReviewRequest:
        if self._engine is None:
            return command
        place = await self._engine.read(lambda workspace: _place_of(workspace, command.piece))
        return command if place is None else command.model_copy(update={"part": await self._read(*place)})


def _place_of(workspace: Workspace, name: str) -> tuple[Path, str] | None:
    """Return the worktree of a piece's worker, and the commit that it is based on; None if nobody works on it."""
    run = workspace.runs.latest()
    piece = run.pieces.get(name) if run else None
    worker = workspace.get_instance(piece.agent_id or "") if piece else None
    if run is None or piece is None or worker is None or not worker.worktree or piece.status is not PieceStatus.WORKING:
        return None
    return Path(worker.worktree), piece.base_oid or run.working_oid
