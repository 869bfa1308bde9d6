"""Has work reviewed while it goes on, in runs of the mode GCC-RT (ROLE-12, REV-1).

As soon as a worker has written something and then nothing more for a moment, a review of what is there is requested.
The next one follows when that has a verdict and more was written. Suggestions reach the worker between its turns.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import THE_HUB, Actor
from aegis_tui.domain.piece.model import PieceStatus
from aegis_tui.domain.review.commands import ReviewRequest
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.part_review import ReadPart
from aegis_tui.sdk.discovery import WorkspacePaths

LOOK_S: Final = 0.5
"""How often the changes of workers are looked at, and how long one must have written nothing, in seconds."""

_RETRY_S: Final = 30.0
_log = logging.getLogger(__name__)


class _Writing(NamedTuple):
    """A piece that a worker builds, and the newest change that the watcher saw of it."""

    piece: str
    worktree: Path
    base_oid: str
    change: tuple[str, str]
    """File and timestamp."""


class LiveReviewService:
    """A `HubService`: requests reviews of pieces that are being written.

    Args:
        read: Reads the work in a worktree.
    """

    def __init__(self, read: ReadPart) -> None:
        self._read = read
        self._seen: dict[tuple[str, Path], tuple[str, str]] = {}
        self._reviewed: dict[tuple[str, Path], tuple[str, str]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Begin to look, until `stop`."""
        self._task = asyncio.create_task(self._look_forever(engine), name="hub-live-review")

    async def stop(self) -> None:
        """Request no more reviews."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def prepare(self, command: AnyCommand, actor: Actor) -> None:
        """Return None: the service adds nothing to commands."""

    async def _look_forever(self, engine: Engine) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                writing = await engine.read(lambda workspace: list(_pieces_being_written(workspace)))
                for item in writing:
                    await self._look(engine, item)
                self._seen = {(item.piece, item.worktree): item.change for item in writing}
            except Exception:
                _log.exception("a look for work to review failed")
                await asyncio.sleep(_RETRY_S)

    async def _look(self, engine: Engine, item: _Writing) -> None:
        key = (item.piece, item.worktree)
        if self._seen.get(key) != item.change or self._reviewed.get(key) == item.change:
            return
        try:
            part = await self._read(item.worktree, item.base_oid)
            if part.files:
                await engine.submit(ReviewRequest(piece=item.piece, part=part), THE_HUB)
            self._reviewed[key] = item.change
        except AegisError as error:
            _log.info("no review was requested", extra={"aegis_piece": item.piece, "aegis_error": error.message})


def _pieces_being_written(workspace: Workspace) -> Iterator[_Writing]:
    """Yield the pieces of the open run that workers build, have changed, and that nobody reviews at the moment.

    None if its mode is not GCC-RT.
    """
    run = workspace.runs.current()
    if run is None or run.options.mode != "GCC-RT":
        return
    newest = {item["agent_id"]: (item["file"], item["timestamp"]) for item in workspace.messages.recent}
    for piece in run.pieces.values():
        worker = workspace.get_instance(piece.agent_id or "")
        if piece.status is not PieceStatus.WORKING or worker is None or not worker.worktree:
            continue
        if worker.agent_id in newest and run.open_part(piece) is None:
            base_oid = piece.base_oid or run.working_oid
            yield _Writing(piece.name, Path(worker.worktree), base_oid, newest[worker.agent_id])
