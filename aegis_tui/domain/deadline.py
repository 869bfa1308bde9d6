"""The deadlines of locks, waits and sessions, on the clock of this process.

Events hold durations, never end times, so deadlines are derived from them and are not part of the logged state.
`now` is seconds on a clock that also runs while the machine sleeps; after a restart `rearm_all` gives everything its
full time again, which can only make a lock last longer, never shorter.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from aegis_tui.domain.lock.events import (
    LockAcquired,
    LockBroken,
    LockExpired,
    LockQueued,
    LockReleased,
    LockRenewed,
    LockWithdrawn,
)
from aegis_tui.domain.lock.table import LockTable
from aegis_tui.domain.model import EventData

DueKind = Literal["lock", "wait", "session"]

MIN_COMPACT: Final = 64


class Due(NamedTuple):
    """A lock, a wait or a session whose deadline has passed."""

    kind: DueKind
    agent_id: str
    id: str
    """Lock id, request id, or the agent id again."""
    token: int | None
    """The fencing token of a lock, for `lock_end.expire`; None for waits and sessions."""


class _Entry(NamedTuple):
    """One deadline; `at_s` does not include the extensions (see `Deadlines.extend`)."""

    at_s: float
    due: Due


_Name = tuple[DueKind, str, str]


class Deadlines:
    """The deadlines of one process: a heap whose outdated entries are skipped when they reach the top.

    Every command renews a session. That changes only its entry; the heap is corrected when the old time is reached.
    """

    def __init__(self) -> None:
        self._entries: dict[_Name, _Entry] = {}
        self._heap: list[tuple[float, _Name]] = []
        self._extended_s = 0.0
        self._appliers: dict[type[EventData], Callable[[str, Any, float], None]] = {
            LockAcquired: self._acquired,
            LockQueued: self._queued,
            LockRenewed: self._renewed,
            LockReleased: self._ended,
            LockExpired: self._ended,
            LockBroken: self._ended,
            LockWithdrawn: self._withdrawn,
        }

    def arm(self, agent_id: str, data: EventData, now: float) -> None:
        """Set or remove the deadlines that a lock event starts or ends; other events change nothing.

        A grant or a renewal starts that of a lock, and a grant or a refused wait ends that of the wait.

        Args:
            agent_id: The instance that the event is about.
            data: The event's data.
            now: The clock, in seconds; the duration in the event counts from then.
        """
        if applier := self._appliers.get(type(data)):
            applier(agent_id, data, now)

    def touch_session(self, agent_id: str, now: float, ttl_s: float) -> None:
        """Let the session of an instance end `ttl_s` seconds from now, because it has begun or sent something."""
        name = _name("session", agent_id, agent_id)
        entry, at_s = self._entries.get(name), now + ttl_s - self._extended_s
        if entry is not None and at_s >= entry.at_s:
            self._entries[name] = _Entry(at_s, entry.due)
        else:
            self._set(Due("session", agent_id, agent_id, None), now + ttl_s)

    def end_session(self, agent_id: str) -> None:
        """Remove the deadline of the session of an instance, if it has one, because the session has ended."""
        self._drop("session", agent_id, agent_id)

    def rearm_all(self, table: LockTable, now: float) -> None:
        """Give every lock and wait of the table its full time from now, after a restart; leave sessions as they are.

        Deadlines of locks and waits that are not in the table are removed.
        """
        for name in [name for name in self._entries if name[0] != "session"]:
            del self._entries[name]
        for lock in table.locks():
            self._set(Due("lock", lock.agent_id, lock.lock_id, lock.token), now + lock.ttl_s)
        for wait in table.waits():
            self._set(Due("wait", wait.agent_id, wait.request_id, None), now + wait.wait_s)

    def extend(self, by_s: float) -> None:
        """Move every deadline by `by_s` seconds, for which the process itself stalled so that nobody could renew."""
        self._extended_s += by_s

    def due(self, now: float) -> list[Due]:
        """Remove and return the deadlines that are at or before `now`, in seconds, the earliest first.

        Empty if none is.
        """
        passed: list[Due] = []
        while (first := self._first()) is not None and first.at_s + self._extended_s <= now:
            _, name = heapq.heappop(self._heap)
            del self._entries[name]
            passed.append(first.due)
        return passed

    def remaining_s(self, kind: DueKind, id_: str, now: float, *, agent_id: str = "") -> float:
        """Return the seconds until a deadline; 0 when it has passed or there is none.

        Args:
            kind: Whether a lock, a wait or a session ends.
            id_: Its lock id, request id or agent id.
            now: The clock, in seconds.
            agent_id: The agent that sent the request; needed for waits only.
        """
        entry = self._entries.get(_name(kind, agent_id, id_))
        return 0.0 if entry is None else max(0.0, entry.at_s + self._extended_s - now)

    def next_at(self) -> float | None:
        """Return the time of the earliest deadline on the clock of `now`; None when there is none."""
        first = self._first()
        return None if first is None else first.at_s + self._extended_s

    def _first(self) -> _Entry | None:
        """Return the earliest deadline, which is then at the top of the heap; None if there is none. It is not removed.

        Outdated entries of the heap that are earlier are corrected or dropped on the way.
        """
        while self._heap:
            at_s, name = self._heap[0]
            entry = self._entries.get(name)
            if entry is not None and entry.at_s == at_s:
                return entry
            if entry is not None and name[0] == "session":
                heapq.heapreplace(self._heap, (entry.at_s, name))
            else:
                heapq.heappop(self._heap)
        return None

    def _acquired(self, agent_id: str, data: LockAcquired, now: float) -> None:
        self._drop("wait", agent_id, data.request_id)
        self._set(Due("lock", agent_id, data.lock_id, data.token), now + data.ttl_s)

    def _queued(self, agent_id: str, data: LockQueued, now: float) -> None:
        self._set(Due("wait", agent_id, data.request_id, None), now + data.wait_s)

    def _renewed(self, agent_id: str, data: LockRenewed, now: float) -> None:
        self._set(Due("lock", agent_id, data.lock_id, data.token), now + data.ttl_s)

    def _ended(self, agent_id: str, data: LockReleased | LockExpired | LockBroken, _now: float) -> None:
        self._drop("lock", agent_id, data.lock_id)

    def _withdrawn(self, agent_id: str, data: LockWithdrawn, _now: float) -> None:
        self._drop("wait", agent_id, data.request_id)

    def _set(self, due: Due, at_s: float) -> None:
        name = _name(due.kind, due.agent_id, due.id)
        stored_s = at_s - self._extended_s
        self._entries[name] = _Entry(stored_s, due)
        heapq.heappush(self._heap, (stored_s, name))
        if len(self._heap) > MIN_COMPACT + 2 * len(self._entries):
            self._heap = [(entry.at_s, name) for name, entry in self._entries.items()]
            heapq.heapify(self._heap)

    def _drop(self, kind: DueKind, agent_id: str, id_: str) -> None:
        self._entries.pop(_name(kind, agent_id, id_), None)


def _name(kind: DueKind, agent_id: str, id_: str) -> _Name:
    """Return the key of a deadline in the table of deadlines.

    The agent id is part of it for a wait only: lock ids are unique in the workspace, but request ids only for one
    agent.
    """
    return (kind, agent_id if kind == "wait" else "", id_)
