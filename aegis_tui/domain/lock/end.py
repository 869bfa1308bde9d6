"""How locks and waits end, how a lock is renewed, and whether a token is current: pure decisions over a `LockTable`.

Each function reads the table, changes nothing, and returns the events to log, in order, or raises the refusal.
"""

from __future__ import annotations

from typing import Final

from aegis_tui.domain.lock.events import (
    LockBroken,
    LockExpired,
    LockReleased,
    LockRenewed,
    LockWithdrawn,
    WithdrawnCode,
)
from aegis_tui.domain.lock.model import MAX_TTL_S, Draft, GrantedLock, Resource
from aegis_tui.domain.lock.obstacle import obstacle
from aegis_tui.domain.lock.table import LockTable
from aegis_tui.errors import Refused, StaleToken, UsageError

SESSION_LOST: Final = "lost"
"""The reason of `drop_holder` that makes locks end as expired instead of released."""

LIST_HINT: Final = "see who holds what with: aegis-tui lock list"
REACQUIRE_HINT: Final = "acquire the lock again, and read the file again before writing"


def check_ttl(ttl_s: float) -> None:
    """Return if a lock may last this long.

    Raises:
        UsageError: It is not over 0 and at most `MAX_TTL_S` (600) seconds.
    """
    if not 0 < ttl_s <= MAX_TTL_S:
        raise UsageError(f"a lock cannot last {ttl_s} s", f"give more than 0 and at most {MAX_TTL_S:g} seconds")


def release(
    table: LockTable,
    agent_id: str,
    *,
    lock_id: str | None = None,
    path: str | None = None,
    token: int | None = None,
    reason: str = "release",
) -> list[Draft]:
    """Return the events that release one lock by id, or the asker's own locks on a path; at least one.

    Args:
        table: State after the last logged event.
        agent_id: The asker.
        lock_id: The lock; or
        path: all of the asker's locks on exactly this path and its regions.
        token: Where given, only the lock with this token is released (compare and swap).
        reason: Why, for the event.

    Raises:
        StaleToken: No such lock is held, or none with this token.
        Refused: Somebody else holds it.
        UsageError: Not exactly one of `lock_id` and `path`.
    """
    locks = _own(table, agent_id, lock_id=lock_id, path=path, token=token)
    return [(agent_id, released(lock, reason)) for lock in locks]


def renew(
    table: LockTable,
    agent_id: str,
    *,
    lock_id: str | None = None,
    path: str | None = None,
    token: int | None = None,
    ttl_s: float | None = None,
) -> list[Draft]:
    """Return the events that restart the TTL of one lock by id, or of the asker's own locks on a path.

    Their tokens stay the same. Locks whose region is stale are left out.

    Args:
        table: State after the last logged event.
        agent_id: The asker.
        lock_id: The lock; or
        path: all of the asker's locks on exactly this path and its regions.
        token: Where given, only the lock with this token is renewed.
        ttl_s: In seconds from now, over 0 and at most `MAX_TTL_S`; None keeps the TTL of each lock.

    Raises:
        StaleToken: No such lock is held, or none with this token, or all are stale.
        Refused: Somebody else holds it.
        UsageError: Not exactly one of `lock_id` and `path`, or a duration out of range.
    """
    if ttl_s is not None:
        check_ttl(ttl_s)
    locks = [lock for lock in _own(table, agent_id, lock_id=lock_id, path=path, token=token) if not lock.stale]
    if not locks:
        raise StaleToken(f"{lock_id or path} is stale: a write changed its lines", REACQUIRE_HINT, token=token)
    return [
        (agent_id, LockRenewed(lock_id=lock.lock_id, token=lock.token, ttl_s=lock.ttl_s if ttl_s is None else ttl_s))
        for lock in locks
    ]


def _own(
    table: LockTable, agent_id: str, *, lock_id: str | None, path: str | None, token: int | None
) -> list[GrantedLock]:
    if lock_id is not None and path is None:
        lock = table.find(lock_id)
        candidates = [] if lock is None else [lock]
    elif path is not None and lock_id is None:
        candidates = [lock for lock in table.locks_on(path) if lock.resource.path == path]
    else:
        raise UsageError("a lock is named either by its id or by its path", "give exactly one of the two")
    own = [lock for lock in candidates if lock.agent_id == agent_id]
    if candidates and not own:
        raise Refused(
            f"{candidates[0].agent_id} holds {candidates[0].resource}, not you",
            LIST_HINT,
            held_by=candidates[0].agent_id,
        )
    current = [lock for lock in own if token is None or lock.token == token]
    if not current and token is None:
        raise StaleToken(f"you hold no lock {lock_id or f'on {path}'}", LIST_HINT, token=token)
    if not current:
        raise StaleToken(f"{lock_id or path} is no longer held with token {token}", REACQUIRE_HINT, token=token)
    return current


def break_lock(table: LockTable, by: str, lock_id: str, reason: str) -> list[Draft]:
    """Return the event that ends a lock of any holder.

    Args:
        table: State after the last logged event.
        by: The agent id of the person who ends it; the caller has checked that they may.
        lock_id: The lock.
        reason: Why, for the event.

    Raises:
        StaleToken: The lock has ended already.
    """
    lock = table.find(lock_id)
    if lock is None:
        raise StaleToken(f"{lock_id} is not held", LIST_HINT)
    path, region = lock.resource.path, lock.resource.region
    data = LockBroken(lock_id=lock_id, path=path, region=region, token=lock.token, reason=reason, by=by)
    return [(lock.agent_id, data)]


def expire(table: LockTable, lock_id: str, token: int) -> list[Draft]:
    """Return the event that ends a lock whose TTL has passed; empty when the lock has ended or has another token."""
    lock = table.find(lock_id)
    return [] if lock is None or lock.token != token else [(lock.agent_id, _expired(lock))]


def withdraw(table: LockTable, agent_id: str, request_id: str, code: WithdrawnCode) -> list[Draft]:
    """Return the event that ends a wait without a grant; empty when the request does not wait.

    With the code TIMEOUT, the event also says what blocked the request.
    """
    wait = table.waiting(agent_id, request_id)
    if wait is None:
        return []
    blocker = obstacle(table, wait) if code == "TIMEOUT" else None
    facts = {} if blocker is None else blocker.facts(table)
    return [(agent_id, LockWithdrawn(request_id=request_id, code=code, **facts))]


def give_up(table: LockTable, agent_id: str, request_id: str) -> list[Draft]:
    """Return the events that cancel a request: that end its wait, or release the locks that it was granted.

    Empty when the request is not known, so a late reply or a lost connection needs no special case.
    """
    granted: list[Draft] = [(agent_id, released(lock, "release")) for lock in table.granted(agent_id, request_id)]
    return withdraw(table, agent_id, request_id, "CANCELLED") or granted


def drop_holder(table: LockTable, agent_id: str, reason: str) -> list[Draft]:
    """Return the events that end all waits and locks of an instance, because its session ended.

    Args:
        table: State after the last logged event.
        agent_id: The instance.
        reason: `SESSION_LOST` ends the locks as expired, any other as released for that reason.
    """
    drafts: list[Draft] = [
        (agent_id, LockWithdrawn(request_id=wait.request_id, code="GONE")) for wait in table.waits_of(agent_id)
    ]
    drafts.extend(
        (agent_id, _expired(lock) if reason == SESSION_LOST else released(lock, reason))
        for lock in table.locks_of(agent_id)
    )
    return drafts


def check_token(table: LockTable, agent_id: str, *, path: str, token: int) -> GrantedLock:
    """Return the instance's current lock with this token on the path, a region of it, or a directory above it.

    Any other number is refused, a higher one too: the token names one grant (LOCK-3). The caller checks the mode.

    Raises:
        StaleToken: There is no such lock now, or its region is stale.
    """
    for lock in table.locks_on(path):
        is_on_path = lock.resource.path == path or lock.resource.covers(Resource.model_construct(path=path))
        if lock.agent_id == agent_id and is_on_path and lock.token == token and not lock.stale:
            return lock
    raise StaleToken(f"token {token} is not the current one of {path}", REACQUIRE_HINT, path=path, token=token)


def released(lock: GrantedLock, reason: str) -> LockReleased:
    """Return the event that records the release of a lock; changes nothing."""
    path, region = lock.resource.path, lock.resource.region
    return LockReleased(lock_id=lock.lock_id, path=path, region=region, token=lock.token, reason=reason)


def _expired(lock: GrantedLock) -> LockExpired:
    path, region = lock.resource.path, lock.resource.region
    return LockExpired(lock_id=lock.lock_id, path=path, region=region, token=lock.token)
