"""Report changed files to the core, with who changed them: the instance of the worktree, or the person (HUB-10)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import THE_HUB, Actor
from aegis_tui.domain.event import Event
from aegis_tui.domain.ids import PERSON
from aegis_tui.domain.instance.model import Phase
from aegis_tui.domain.message.commands import FileObserved
from aegis_tui.domain.message.rules import needs_lock
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError
from aegis_tui.hub.engine import Engine
from aegis_tui.ports.tree_watch import FileChange, FindCheckouts, TreeWatch
from aegis_tui.sdk.discovery import WorkspacePaths

REFRESH_S: Final = 1.0
"""How often to check whether a person has created or removed a worktree, in seconds."""

_KEPT_TIMES: Final = 4096
_log = logging.getLogger(__name__)
_GONE = frozenset({Phase.PLANNED, Phase.RECLAIMED})


class _Watched(NamedTuple):
    """One watched worktree, and the agent id of whoever makes the changes in it."""

    agent_id: str
    folder: str
    inode: int = 0


class LogTimes:
    """Knows which event was the newest on disk at a given time; for times too long ago, returns the oldest it knows."""

    def __init__(self, seq: int) -> None:
        self._times = deque([(time.time_ns(), seq)], maxlen=_KEPT_TIMES)

    def note(self, events: Sequence[Event]) -> None:
        """Record that a batch of events, at least one, has just been logged.

        Beyond 4,096 batches the oldest is dropped.
        """
        self._times.append((time.time_ns(), events[-1].seq))

    def seq_at(self, instant_ns: int) -> int:
        """Return the number of the newest event on disk at a time; for a time too long ago, the oldest known number.

        Args:
            instant_ns: The time in nanoseconds since the epoch, like file times.
        """
        return next((seq for logged_ns, seq in reversed(self._times) if logged_ns <= instant_ns), self._times[0][1])


class WatchService:
    """A `HubService`: watches every worktree of the repository, those of instances and the person's own."""

    def __init__(
        self, root: Path, watcher: TreeWatch, find_checkouts: FindCheckouts, *, refresh_s: float = REFRESH_S
    ) -> None:
        """Set the repository and how it is watched.

        Args:
            root: The person's worktree that the hub was started in.
            watcher: The watcher, still without worktrees; `stop` closes it.
            find_checkouts: Lists the worktrees of that repository.
            refresh_s: How often to check for new and removed worktrees, in seconds.
        """
        self._root = root
        self._refresh_s = refresh_s
        self._watcher, self._find_checkouts = watcher, find_checkouts
        self._watched: dict[str, _Watched] = {}
        self._ours = root
        self._times = LogTimes(0)
        self._refreshing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def watched(self) -> frozenset[str]:
        """The agent ids of those whose worktrees are watched: instances, and `person` for the person's."""
        return frozenset(self._watched[name].agent_id for name in self._watcher.names if name in self._watched)

    @property
    def folders(self) -> frozenset[str]:
        """The paths of the worktrees that are watched."""
        return frozenset(self._watched[name].folder for name in self._watcher.names if name in self._watched)

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Start watching the person's worktree, and all others of the repository as they are created and removed.

        This goes on in the background until `stop`. A worktree that cannot be watched is only logged.
        """
        self._ours = paths.state_dir.resolve()
        self._times = LogTimes(engine.last_seq)
        engine.add_listener(self._times.note)
        await self._add(PERSON, _Watched(PERSON, str(self._root)))
        self._tasks = [
            asyncio.create_task(self._follow_instances(engine), name="hub-worktrees"),
            asyncio.create_task(self._follow_repository(engine), name="hub-repository"),
            asyncio.create_task(self._tell(engine), name="hub-watch"),
        ]

    async def stop(self) -> None:
        """Stop the tasks and close the watcher."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._watcher.close()

    def prepare(self, command: AnyCommand, actor: Actor) -> None:
        """Return None: this service fills in no command."""

    async def _add(self, name: str, wanted: _Watched) -> None:
        self._watched[name] = wanted
        try:
            await self._watcher.add(name, Path(wanted.folder))
        except AegisError as error:
            _log.warning("a folder is not watched", extra={"aegis_path": wanted.folder, "aegis_error": error.message})

    async def _follow_instances(self, engine: Engine) -> None:
        async for keys in engine.changes():
            if not keys or any(kind in ("instance", "workspace") for kind, _ in keys):
                await self._refresh(engine)

    async def _follow_repository(self, engine: Engine) -> None:
        while True:
            await asyncio.sleep(self._refresh_s)
            await self._refresh(engine)

    async def _refresh(self, engine: Engine) -> None:
        """Update the set of watched worktrees to those that exist now, the instances' and the person's.

        If the state cannot be read, nothing changes until the next call.
        """
        async with self._refreshing:
            with suppress(AegisError):
                wanted = await engine.read(_of_instances)
                wanted |= await asyncio.to_thread(self._of_person, [item.folder for item in wanted.values()])
                for name in self._watched.keys() - wanted.keys() - {PERSON}:
                    del self._watched[name]
                    await self._watcher.remove(name)
                for name, item in wanted.items():
                    if self._watched.get(name) != item:
                        await self._add(name, item)

    def _of_person(self, taken: Iterable[str]) -> dict[str, _Watched]:
        """Return the person's worktrees by folder, without the one the hub was started in and any in the hub's folder.

        If git cannot list the worktrees, this is logged and those that are known already are returned. Blocking.

        Args:
            taken: The worktrees of instances, which are left out too.
        """
        try:
            present = self._find_checkouts()
        except AegisError as error:
            _log.warning("the worktrees could not be listed", extra={"aegis_error": error.message})
            return {name: item for name, item in self._watched.items() if name == item.folder}
        others = {self._root.resolve(), *(Path(folder).resolve() for folder in taken)}
        return {
            str(folder): _Watched(PERSON, str(folder), inode)
            for folder, inode in present
            if folder.resolve() not in others and not folder.resolve().is_relative_to(self._ours)
        }

    async def _tell(self, engine: Engine) -> None:
        async for changes in self._watcher.changes():
            by_git = await self._made_by_git(engine, changes)
            commands = [self._command(change, is_by_git=change.path in by_git) for change in changes]
            submitted = [engine.submit(command, THE_HUB) for command in commands if command is not None]
            for result in await asyncio.gather(*submitted, return_exceptions=True):
                if isinstance(result, Exception):
                    _log.warning("a change was not logged", extra={"aegis_error": str(result)})

    async def _made_by_git(self, engine: Engine, changes: list[FileChange]) -> frozenset[str]:
        """Return which of the changed paths git itself changed, for example by a checkout; only those that need a lock.

        Empty if the worktree is not watched any more, or git fails.

        Args:
            engine: Knows which paths need a lock.
            changes: Changes in one worktree, at least one.
        """
        name = changes[0].worktree
        where = self._watched.get(name)
        if where is None:
            return frozenset()
        asked = engine.peek(
            lambda workspace: [
                change for change in changes if needs_lock(workspace, where.agent_id, write_name(change.path))
            ]
        )
        return await self._watcher.made_by_git(name, asked) if asked else frozenset()

    def _command(self, change: FileChange, *, is_by_git: bool) -> FileObserved | None:
        where = self._watched.get(change.worktree)
        if where is None:
            return None
        return FileObserved(
            agent_id=where.agent_id,
            path=write_name(change.path),
            change_type=change.change_type,
            worktree=write_name(where.folder),
            oid=change.oid,
            since_seq=self._times.seq_at(change.changed_ns),
            by_git=is_by_git,
        )


def _of_instances(workspace: Workspace) -> dict[str, _Watched]:
    return {
        instance.agent_id: _Watched(instance.agent_id, instance.worktree)
        for instance in workspace.instances.by_id.values()
        if instance.worktree and instance.phase not in _GONE
    }
