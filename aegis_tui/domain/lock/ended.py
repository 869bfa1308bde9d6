"""The EXCLUSIVE locks that ended recently: the hub learns of a write a little later, often after its lock was released.

The number is limited; for each instance and path only the newest end is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aegis_tui.domain.lock.model import GrantedLock, LockMode
from aegis_tui.domain.path.file_name import is_below

KEPT_ENDS: Final = 500
"""How many pairs of instance and path are kept."""


class EndedLocks:
    """The newest ends of EXCLUSIVE locks, by path and holder."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, str], int] = {}

    def note(self, lock: GrantedLock | None, seq: int) -> None:
        """Record that a lock ended with event `seq`; None and locks in other modes than EXCLUSIVE are ignored.

        Beyond `KEPT_ENDS` pairs of path and holder, the oldest end is dropped.
        """
        if lock is None or lock.mode is not LockMode.EXCLUSIVE:
            return
        key = (lock.resource.path, lock.agent_id)
        self._ends.pop(key, None)
        self._ends[key] = seq
        if len(self._ends) > KEPT_ENDS:
            del self._ends[next(iter(self._ends))]

    def has_ended(self, path: str, after: int, is_holder: Callable[[str], bool]) -> bool:
        """Return whether a recorded lock on the path, or on a folder above it, ended after event `after`.

        Args:
            path: Relative to the repository, in NFC.
            after: Number of an event.
            is_holder: Agent id -> whether the locks of that agent count.
        """
        return any(
            seq > after and (path == locked or is_below(path, locked)) and is_holder(agent_id)
            for (locked, agent_id), seq in self._ends.items()
        )

    def dump(self) -> list[list[Any]]:
        """Return the ends as [path, agent id, event number] for a snapshot, oldest first."""
        return [[path, agent_id, seq] for (path, agent_id), seq in self._ends.items()]

    @classmethod
    def load(cls, plain: list[list[Any]]) -> EndedLocks:
        """Return a new record with what `dump` returned.

        Raises:
            ValueError: An entry does not have three parts.
        """
        ended = cls()
        ended._ends = {(path, agent_id): seq for path, agent_id, seq in plain}
        return ended
