"""The locks and waiting requests of a workspace, indexed so that a query reads only what lies near its path.

The table applies events and answers queries. It makes no decisions: `grant` does.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any, TypeVar

from aegis_tui.domain.lock.events import (
    LockAcquired,
    LockBroken,
    LockDeadlock,
    LockDenied,
    LockExpired,
    LockMoved,
    LockQueued,
    LockReleased,
    LockRenewed,
    LockWaitMoved,
    LockWithdrawn,
)
from aegis_tui.domain.lock.model import GrantedLock, LockMode, Rank, Resource, is_as_strong
from aegis_tui.domain.lock.region import View, with_view
from aegis_tui.domain.lock.wait import Wait
from aegis_tui.domain.model import EventData, Key
from aegis_tui.domain.path.index import PathIndex

RequestKey = tuple[str, str]
"""Agent id and request id: request ids are chosen by clients, so they are unique only for one instance."""


class LockTable:
    """The locks and waiting requests, and which can be granted now. Has one owner; only `evolve` changes it."""

    def __init__(self) -> None:
        self._locks: dict[str, GrantedLock] = {}
        self._waits: dict[RequestKey, Wait] = {}
        self._next_order = 0
        self._locks_near: PathIndex[GrantedLock] = PathIndex()
        self._waits_near: PathIndex[Wait] = PathIndex()
        self._locks_of: dict[str, dict[str, GrantedLock]] = {}
        self._waits_of: dict[str, dict[str, Wait]] = {}
        self._granted: dict[RequestKey, dict[str, GrantedLock]] = {}
        self._ready: dict[RequestKey, Wait] = {}
        self._appliers: dict[type[EventData], Callable[[str, Any], frozenset[Key]]] = {
            LockAcquired: self._acquired,
            LockQueued: self._queued,
            LockReleased: self._ended,
            LockExpired: self._ended,
            LockBroken: self._ended,
            LockRenewed: self._renewed,
            LockMoved: self._moved,
            LockWaitMoved: self._wait_moved,
            LockWithdrawn: self._withdrawn,
            LockDeadlock: self._refused,
            LockDenied: self._refused,
        }

    # Queries

    @property
    def next_order(self) -> int:
        """The place in the order of arrival that the next queued request gets: a number that never repeats."""
        return self._next_order

    def locks(self) -> list[GrantedLock]:
        """Return every lock that is held, stale ones too, sorted by token."""
        return sorted(self._locks.values(), key=lambda lock: lock.token)

    def waits(self) -> list[Wait]:
        """Return every waiting request, in order of arrival."""
        return sorted(self._waits.values(), key=lambda wait: wait.order)

    def ready(self) -> list[Wait]:
        """Return the waiting requests that nothing blocks, in order of arrival. No two of them block each other."""
        return sorted(self._ready.values(), key=lambda wait: wait.order) if self._ready else []

    def find(self, lock_id: str) -> GrantedLock | None:
        """Return the lock with that id; None when it is not held."""
        return self._locks.get(lock_id)

    def granted(self, agent_id: str, request_id: str) -> list[GrantedLock]:
        """Return the locks that the request was granted and that are still held, sorted by path and region."""
        locks = self._granted.get((agent_id, request_id), {}).values()
        return sorted(locks, key=lambda lock: lock.resource.sort_key)

    def waiting(self, agent_id: str, request_id: str) -> Wait | None:
        """Return the request, if it is waiting; None when it was never queued, is granted or has ended."""
        return self._waits.get((agent_id, request_id))

    def locks_of(self, agent_id: str) -> list[GrantedLock]:
        """The locks that the instance holds, by token."""
        return sorted(self._locks_of.get(agent_id, {}).values(), key=lambda lock: lock.token)

    def count_of(self, agent_id: str) -> int:
        """Return the number of locks that the instance holds and of resources that its requests wait for, together."""
        waits = self._waits_of.get(agent_id)
        waiting = sum(len(wait.resources) for wait in waits.values()) if waits else 0
        return len(self._locks_of.get(agent_id, ())) + waiting

    def waits_of(self, agent_id: str) -> list[Wait]:
        """The waiting requests of the instance, in order of arrival."""
        return sorted(self._waits_of.get(agent_id, {}).values(), key=lambda wait: wait.order)

    def locks_on(self, path: str) -> list[GrantedLock]:
        """Every lock on the path, on a region of it, on a directory above it or on a path below it, by token."""
        return sorted(self._locks_near.near(path), key=lambda lock: lock.token)

    def spelling(self, path: str) -> str:
        """Return the path in the letter case in which it is locked or waited for; as given when it is neither."""
        return self._locks_near.spelling(path) or self._waits_near.spelling(path) or path

    def waits_on(self, path: str) -> list[Wait]:
        """Every request that waits for the path, or for one above or below it, in order of arrival."""
        return sorted(self._waits_near.near(path), key=lambda wait: wait.order)

    def held_by(self, agent_id: str, resource: Resource, mode: LockMode | None = None) -> GrantedLock | None:
        """Return the instance's lock that covers all of `resource` and is not stale; None when there is none.

        Of several an EXCLUSIVE one comes first, then the newest. A lock on a region counts only if its lines are known
        in the content that `resource` was located in.

        Args:
            agent_id: The instance.
            resource: The resource to cover.
            mode: The lock must permit what this mode permits; None accepts any mode.
        """
        own = [
            lock
            for lock in self._locks_near.near(resource.path)
            if lock.agent_id == agent_id
            and not lock.stale
            and lock.resource.knows(resource)
            and lock.resource.covers(resource)
            and (mode is None or is_as_strong(lock.mode, mode))
        ]
        return max(own, key=lambda lock: (lock.mode is LockMode.EXCLUSIVE, lock.token)) if own else None

    def holders_against(self, wait: Wait) -> Iterator[GrantedLock]:
        """Yield the locks of other instances that block the request; one may come more than once."""
        for resource in wait.resources:
            for lock in self._locks_near.near(resource.path):
                if lock.refuses(wait.agent_id, resource, wait.mode):
                    yield lock

    def waits_for(self, lock: GrantedLock) -> list[Wait]:
        """Return the requests of other instances that the lock blocks, in order of arrival."""
        return [
            wait
            for wait in self.waits_on(lock.resource.path)
            if any(lock.refuses(wait.agent_id, resource, wait.mode) for resource in wait.resources)
        ]

    def waits_ahead_of(self, wait: Wait, *, skip: Container[str] = ()) -> Iterator[Wait]:
        """Yield the requests of others that must be granted or withdrawn before this one; one may come more than once.

        Args:
            wait: The request.
            skip: Agent ids whose requests are left out.
        """
        for resource in wait.resources:
            for other in self._waits_near.near(resource.path):
                if other.agent_id not in skip and wait.is_behind(other):
                    yield other

    def is_blocked(self, wait: Wait) -> bool:
        """Return whether a lock of another instance, or another's request ahead in the queue, blocks this one."""
        return any(True for _ in self.holders_against(wait)) or any(True for _ in self.waits_ahead_of(wait))

    # Events

    @property
    def folded(self) -> frozenset[type[EventData]]:
        """The event types that this table applies: every lock event (checked by tests/domain/test_totality.py)."""
        return frozenset(self._appliers)

    def evolve(self, agent_id: str, data: EventData) -> frozenset[Key]:
        """Apply a lock event and return the keys that changed; events of other kinds change nothing. Never raises."""
        applier = self._appliers.get(type(data))
        return frozenset() if applier is None else applier(agent_id, data)

    def _acquired(self, agent_id: str, data: LockAcquired) -> frozenset[Key]:
        changed = self._drop_wait((agent_id, data.request_id)) | self._drop_lock(data.lock_id)
        self._add_lock(
            GrantedLock(
                lock_id=data.lock_id,
                agent_id=agent_id,
                resource=Resource.model_construct(path=data.path, region=data.region, views=data.views),
                mode=data.lock_type,
                token=data.token,
                ttl_s=data.ttl_s,
                request_id=data.request_id,
                review_blob=data.review_blob,
                own_oid=data.base_oid,
            )
        )
        return changed | {("lock", data.lock_id)}

    def _queued(self, agent_id: str, data: LockQueued) -> frozenset[Key]:
        changed = self._drop_wait((agent_id, data.request_id))
        plain = (Rank.PLAIN,) * (len(data.resources) - len(data.ranks))
        wait = Wait(
            request_id=data.request_id,
            agent_id=agent_id,
            resources=data.resources,
            ranks=data.ranks[: len(data.resources)] + plain,
            mode=data.lock_type,
            ttl_s=data.ttl_s,
            wait_s=data.wait_s,
            order=self._next_order,
            review_blobs=data.review_blobs,
        )
        self._next_order += 1
        self._add_wait(wait)
        return changed | {_wait_key(wait)}

    def _refused(self, _agent_id: str, _data: LockDeadlock | LockDenied) -> frozenset[Key]:
        """Change nothing: a refusal is logged only to be counted."""
        return frozenset()

    def _ended(self, _agent_id: str, data: LockReleased | LockExpired | LockBroken) -> frozenset[Key]:
        lock = self._locks.get(data.lock_id)
        return frozenset() if lock is None or lock.token != data.token else self._drop_lock(data.lock_id)

    def _renewed(self, _agent_id: str, data: LockRenewed) -> frozenset[Key]:
        lock = self._locks.get(data.lock_id)
        if lock is None or lock.token != data.token:
            return frozenset()
        self._index_lock(lock.model_copy(update={"ttl_s": data.ttl_s}))
        return frozenset({("lock", data.lock_id)})

    def _moved(self, _agent_id: str, data: LockMoved) -> frozenset[Key]:
        lock = self._locks.get(data.lock_id)
        if lock is None or lock.token != data.token:
            return frozenset()
        view, own_oid = View(base_oid=data.base_oid, spans=data.spans), data.base_oid if data.own else lock.own_oid
        views = () if data.stale else with_view(lock.resource.views, view, keep=lock.own_oid)
        resource = lock.resource.model_copy(update={"region": data.region, "views": views})
        self._index_lock(lock.model_copy(update={"resource": resource, "stale": data.stale, "own_oid": own_oid}))
        self._recheck_ready()
        self._find_ready(lock.resource.path)
        return frozenset({("lock", data.lock_id)})

    def _wait_moved(self, agent_id: str, data: LockWaitMoved) -> frozenset[Key]:
        wait = self._waits.get((agent_id, data.request_id))
        if wait is None:
            return frozenset()
        self._index_wait(wait.moved(data))
        self._recheck_ready()
        self._find_ready(data.path)
        return frozenset({_wait_key(wait)})

    def _withdrawn(self, agent_id: str, data: LockWithdrawn) -> frozenset[Key]:
        return self._drop_wait((agent_id, data.request_id))

    # Indexes

    def _add_lock(self, lock: GrantedLock) -> None:
        self._index_lock(lock)
        self._recheck_ready()

    def _index_lock(self, lock: GrantedLock) -> None:
        self._locks[lock.lock_id] = lock
        self._locks_near.add(lock.resource.path, lock.lock_id, lock)
        self._locks_of.setdefault(lock.agent_id, {})[lock.lock_id] = lock
        self._granted.setdefault((lock.agent_id, lock.request_id), {})[lock.lock_id] = lock

    def _drop_lock(self, lock_id: str) -> frozenset[Key]:
        lock = self._locks.pop(lock_id, None)
        if lock is None:
            return frozenset()
        self._locks_near.remove(lock.resource.path, lock_id)
        _discard(self._locks_of, lock.agent_id, lock_id)
        _discard(self._granted, (lock.agent_id, lock.request_id), lock_id)
        self._find_ready(lock.resource.path)
        return frozenset({("lock", lock_id)})

    def _add_wait(self, wait: Wait) -> None:
        self._index_wait(wait)
        self._recheck_ready()
        if not self.is_blocked(wait):
            self._ready[wait.agent_id, wait.request_id] = wait

    def _index_wait(self, wait: Wait) -> None:
        self._waits[wait.agent_id, wait.request_id] = wait
        self._waits_of.setdefault(wait.agent_id, {})[wait.request_id] = wait
        for path in _paths(wait):
            self._waits_near.add(path, _wait_key(wait)[1], wait)
        if (wait.agent_id, wait.request_id) in self._ready:
            self._ready[wait.agent_id, wait.request_id] = wait

    def _drop_wait(self, key: RequestKey) -> frozenset[Key]:
        wait = self._waits.pop(key, None)
        if wait is None:
            return frozenset()
        self._ready.pop(key, None)
        _discard(self._waits_of, wait.agent_id, wait.request_id)
        for path in _paths(wait):
            self._waits_near.remove(path, _wait_key(wait)[1])
        for path in _paths(wait):
            self._find_ready(path)
        return frozenset({_wait_key(wait)})

    def _recheck_ready(self) -> None:
        """Remove the requests that are now blocked from the ready ones; called after something was added."""
        for key in [key for key, wait in self._ready.items() if self.is_blocked(wait)]:
            del self._ready[key]

    def _find_ready(self, path: str) -> None:
        """Make the requests near `path` ready that nothing blocks now; called after something there ended."""
        for wait in self._waits_near.near(path):
            if not self.is_blocked(wait):
                self._ready[wait.agent_id, wait.request_id] = wait

    # Snapshots

    def dump(self) -> dict[str, Any]:
        """Return the whole state as JSON values; equal states give equal values, however they were reached."""
        return {
            "locks": [lock.model_dump(mode="json") for lock in sorted(self._locks.values(), key=_lock_order)],
            "waits": [wait.model_dump(mode="json") for wait in self.waits()],
            "next_order": self._next_order,
        }

    @classmethod
    def load(cls, state: dict[str, Any]) -> LockTable:
        """Return a new table in the state that `dump` returned.

        Raises:
            KeyError: A part of the state is missing.
            ValueError: A lock or a request in it is not valid.
        """
        table = cls()
        for lock in state["locks"]:
            table._index_lock(GrantedLock.model_validate(lock))
        for wait in state["waits"]:
            table._add_wait(Wait.model_validate(wait))
        table._next_order = int(state["next_order"])
        return table

    def copy(self) -> LockTable:
        """Return an independent table in the same state."""
        return LockTable.load(self.dump())


def _lock_order(lock: GrantedLock) -> tuple[int, str]:
    return (lock.token, lock.lock_id)


def _wait_key(wait: Wait) -> Key:
    return ("wait", f"{wait.agent_id}/{wait.request_id}")


def _paths(wait: Wait) -> Iterable[str]:
    """Each path of the request once."""
    return dict.fromkeys(resource.path for resource in wait.resources)


K = TypeVar("K")
V = TypeVar("V")


def _discard(index: dict[K, dict[str, V]], key: K, name: str) -> None:
    """Remove `name` from the entries under `key`, and the key when no entry is left there.

    No effect if it is missing.
    """
    values = index.get(key, {})
    values.pop(name, None)
    if not values:
        index.pop(key, None)
