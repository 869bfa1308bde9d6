"""Reads how others' copies of a joint file differ from the sender's, before `lock:news` is decided (LOCK-3)."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Mapping
from pathlib import Path

from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.inert import inert
from aegis_tui.domain.lock.commands import LockNews, OtherCopy
from aegis_tui.domain.lock.news import open_writes
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import UsageError
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.regions import read_text
from aegis_tui.sdk.discovery import WorkspacePaths

_MOST_LINES = 40
_MOST_CHARS = 4000
_UNREADABLE = "\0unreadable"


class JointNewsService:
    """A `HubService` that fills in the differences of `lock:news`. What an agent wrote is read, but never followed."""

    def __init__(self, root: Path) -> None:
        """Store the person's checkout, in which instances without a worktree of their own work."""
        self._root = root
        self._engine: Engine | None = None

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Store the engine, which tells `prepare` who works where; starts no task."""
        self._engine = engine

    async def stop(self) -> None:
        """Do nothing: the service has no tasks."""

    def prepare(self, command: AnyCommand, actor: Actor) -> Awaitable[AnyCommand] | None:
        """Return an awaitable of a `lock:news` with the differences of the copies; None for any other command."""
        return self._compared(command, actor) if isinstance(command, LockNews) else None

    async def _compared(self, command: LockNews, actor: Actor) -> LockNews:
        if self._engine is None:
            return command
        places = await self._engine.read(lambda workspace: _places(workspace, self._root, actor.agent_id, command.path))
        copies = await asyncio.to_thread(_compare, places, actor.agent_id, command.path)
        return command.model_copy(update={"copies": copies})


def _places(workspace: Workspace, root: Path, agent_id: str, path: str) -> dict[str, Path]:
    """Return the folders in which the sender works and those whose writes it should know, by agent id."""
    places: dict[str, Path] = {}
    for name in (agent_id, *open_writes(workspace, agent_id, path)):
        instance = workspace.get_instance(name)
        places[name] = Path(instance.worktree) if instance is not None and instance.worktree else root
    return places


def _compare(places: Mapping[str, Path], agent_id: str, path: str) -> tuple[OtherCopy, ...]:
    mine = _read(places[agent_id], path)
    others = {name: folder for name, folder in places.items() if folder != places[agent_id]}
    return tuple(_copy(name, mine, _read(folder, path)) for name, folder in others.items())


def _copy(agent_id: str, mine: str | None, theirs: str | None) -> OtherCopy:
    """Return how a copy differs from the sender's.

    Args:
        agent_id: Whose copy it is.
        mine: The sender's; None for no file, `_UNREADABLE` for one that is too large.
        theirs: The other.
    """
    if _UNREADABLE in (mine, theirs) or (mine is None and theirs is None):
        return OtherCopy(agent_id=agent_id, change="unknown")
    if theirs is None:
        return OtherCopy(agent_id=agent_id, change="deleted")
    if "\0" in theirs or (mine is not None and "\0" in mine):
        return OtherCopy(agent_id=agent_id, change="binary")
    if mine is None:
        return OtherCopy(agent_id=agent_id, change="created", diff=_diff("", theirs))
    return OtherCopy(agent_id=agent_id, change="changed", diff=_diff(mine, theirs))


def _diff(mine: str, theirs: str) -> str:
    lines = difflib.unified_diff(mine.splitlines(), theirs.splitlines(), n=1, lineterm="")
    shown = [inert(line, keep="\t") for line in lines][2:]  # without the lines that name the files
    cut = [f"[{len(shown) - _MOST_LINES} more lines]"] if len(shown) > _MOST_LINES else []
    text = "\n".join([*shown[:_MOST_LINES], *cut])
    return text if len(text) <= _MOST_CHARS else f"{text[:_MOST_CHARS]}\n[cut]"


def _read(folder: Path, path: str) -> str | None:
    try:
        text = read_text(folder, path)
    except UsageError:
        return None
    return _UNREADABLE if text is None else text
