"""Tells the core of changed files, with who changed them: the instance whose worktree it is, or the person (HUB-10)."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

from aegis_tui.adapters.watch.tree_index import FileChange
from aegis_tui.adapters.watch.tree_watcher import COALESCE_S, SCAN_S, TreeWatcher
from aegis_tui.domain.command import AnyCommand, FileObserved
from aegis_tui.domain.decision import THE_HUB, Actor
from aegis_tui.domain.ids import PERSON
from aegis_tui.domain.instance import Phase
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError
from aegis_tui.hub.engine import Engine
from aegis_tui.sdk.discovery import WorkspacePaths

_log = logging.getLogger(__name__)
_GONE = frozenset({Phase.PLANNED, Phase.RECLAIMED})


class WatchService:
    """A `HubService`: watches the repository and the worktree of every instance that has one."""

    def __init__(self, root: Path, *, coalesce_s: float = COALESCE_S, scan_s: float = SCAN_S) -> None:
        self._root = root
        self._watcher = TreeWatcher(coalesce_s=coalesce_s, scan_s=scan_s)
        self._folders: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def watched(self) -> frozenset[str]:
        """Whose worktrees are watched, by agent id."""
        return self._watcher.names

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Watch the repository now, and worktrees as they come and go."""
        await self._add(PERSON, self._root)
        self._tasks = [
            asyncio.create_task(self._follow_worktrees(engine), name="hub-worktrees"),
            asyncio.create_task(self._tell(engine), name="hub-watch"),
        ]

    async def stop(self) -> None:
        """End the tasks and the observer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._watcher.close()

    def prepare(self, command: AnyCommand, actor: Actor) -> None:
        """Nothing to fill in."""

    async def _add(self, name: str, root: Path) -> None:
        self._folders[name] = str(root)
        try:
            await self._watcher.add(name, root)
        except AegisError as error:
            _log.warning("not watched", extra={"aegis_path": str(root), "aegis_error": error.message})

    async def _follow_worktrees(self, engine: Engine) -> None:
        async for keys in engine.changes():
            if keys and not any(kind in ("instance", "workspace") for kind, _ in keys):
                continue
            with suppress(AegisError):
                wanted = await engine.read(_worktrees)
                for name in self._watcher.names - wanted.keys() - {PERSON}:
                    await self._watcher.remove(name)
                for name, folder in wanted.items():
                    if self._folders.get(name) != folder:
                        await self._add(name, Path(folder))

    async def _tell(self, engine: Engine) -> None:
        async for changes in self._watcher.changes():
            told = (engine.submit(self._command(change), THE_HUB) for change in changes)
            for result in await asyncio.gather(*told, return_exceptions=True):
                if isinstance(result, Exception):
                    _log.warning("a change was not logged", extra={"aegis_error": str(result)})

    def _command(self, change: FileChange) -> FileObserved:
        readable = change.path.encode("utf-8", "replace").decode()
        return FileObserved(
            agent_id=change.worktree,
            path=readable,
            change_type=change.change_type,
            worktree=self._folders.get(change.worktree, ""),
        )


def _worktrees(workspace: Workspace) -> dict[str, str]:
    return {
        instance.agent_id: instance.worktree
        for instance in workspace.instances.by_id.values()
        if instance.worktree and instance.phase not in _GONE
    }
