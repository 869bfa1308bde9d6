"""Answers questions to the code map before they are decided: each sender is told about its own files (MAP-5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

from aegis_tui.domain.code_map.commands import MapAsk
from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.hub.engine import Engine
from aegis_tui.ports.code_map import MapAnswers
from aegis_tui.sdk.discovery import WorkspacePaths

_AT_ONCE = 2
"""Questions that are answered at the same time; others wait."""


class CodeMapService:
    """A `HubService` that fills in the answer of `map:ask`."""

    def __init__(self, root: Path, answers: MapAnswers) -> None:
        """Store the parts.

        Args:
            root: The person's checkout.
            answers: Answers questions about a worktree.
        """
        self._root, self._answers = root, answers
        self._engine: Engine | None = None
        self._paths: WorkspacePaths | None = None
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Store the engine, which tells `prepare` in which worktree a sender works; starts no task."""
        self._engine, self._paths = engine, paths

    async def stop(self) -> None:
        """Do nothing: the service has no tasks."""

    def prepare(self, command: AnyCommand, actor: Actor) -> Awaitable[AnyCommand] | None:
        """Return an awaitable of a `map:ask` with its answer about the sender's worktree; None for any other command.

        At most two questions are answered at a time. Before `start`, the command comes back without an answer.

        Raises:
            UsageError: When awaited: the map does not have what is asked about.
            AegisError: When awaited: the worktree or the map cannot be read.
        """
        return self._answered(command, actor) if isinstance(command, MapAsk) else None

    async def _answered(self, command: MapAsk, actor: Actor) -> MapAsk:
        if self._engine is None or self._paths is None:
            return command
        instance = await self._engine.read(lambda workspace: workspace.get_instance(actor.agent_id))
        worktree = Path(instance.worktree) if instance is not None and instance.worktree else None
        async with self._places:
            answer = await self._answers.ask(command, self._root, worktree, self._paths)
        return command.model_copy(update={"answer": answer})
