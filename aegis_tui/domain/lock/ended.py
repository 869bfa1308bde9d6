"""Which EXCLUSIVE locks ended lately: a write is told a little after it was made, often after its lock was given back.

Bounded; an instance and a path are kept once, with the newest end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aegis_tui.domain.lock.model import Lock, LockMode
from aegis_tui.domain.path.file_name import is_below

KEPT_ENDS: Final = 500
"""How many pairs of instance and path are remembered."""


class EndedLocks:
    """The newest ends of EXCLUSIVE locks, by path and holder."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, str], int] = {}

    def note(self, lock: Lock | None, seq: int) -> None:
        """A lock ended with event `seq`."""
        if lock is None or lock.mode is not LockMode.EXCLUSIVE:
            return
        key = (lock.resource.path, lock.agent_id)
        self._ends.pop(key, None)
        self._ends[key] = seq
        if len(self._ends) > KEPT_ENDS:
            del self._ends[next(iter(self._ends))]

    def has_ended(self, path: str, after: int, is_holder: Callable[[str], bool]) -> bool:
        """Whether a lock on the path, or on a folder above it, ended after event `after`.

        Args:
            path: Relative to the repository, in NFC.
            after: Number of an event.
            is_holder: Whose locks count, by agent id.
        """
        return any(
            seq > after and (path == locked or is_below(path, locked)) and is_holder(agent_id)
            for (locked, agent_id), seq in self._ends.items()
        )

    def dump(self) -> list[list[Any]]:
        """A plain form for snapshots, oldest first."""
        return [[path, agent_id, seq] for (path, agent_id), seq in self._ends.items()]

    @classmethod
    def load(cls, plain: list[list[Any]]) -> EndedLocks:
        """The record that `dump` described."""
        ended = cls()
        ended._ends = {(path, agent_id): seq for path, agent_id, seq in plain}
        return ended
