"""Who gets a lock, who waits, who is refused: pure decisions over a `LockTable`.

Every function looks at the table, changes nothing, and returns the events to log, in order, or raises the refusal.
The caller logs them, applies them, and calls `promote` until it returns nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from aegis_tui.domain.lock import (
    MAX_TTL_S,
    Draft,
    Lock,
    LockAcquired,
    LockBroken,
    LockDeadlock,
    LockDenied,
    LockExpired,
    LockMode,
    LockQueued,
    LockRefused,
    LockReleased,
    LockRenewed,
    LockWithdrawn,
    Rank,
    Resource,
    Wait,
    lock_id_of,
)
from aegis_tui.domain.lock_cycle import find_cycle
from aegis_tui.domain.lock_table import LockTable
from aegis_tui.errors import Refused, StaleToken, UsageError

SESSION_LOST: Final = "lost"
"""The reason of `drop_holder` that makes locks end as expired instead of released."""

LIST_HINT: Final = "see who holds what with: aegis-tui lock list"
REACQUIRE_HINT: Final = "acquire the lock again, and read the file again before writing"


def acquire(
    table: LockTable,
    agent_id: str,
    *,
    request_id: str,
    resources: Iterable[Resource],
    mode: LockMode,
    ttl_s: float,
    wait_s: float | None = None,
    seq: int,
    review_blobs: Mapping[str, str] | None = None,
) -> list[Draft]:
    """Grant all of the resources, or queue the request as a whole, or refuse it.

    What the instance already holds strongly enough is not granted again: the caller answers with `table.held_by`.

    Args:
        table: State after the last logged event.
        agent_id: The asker.
        request_id: Chosen by the client; a request that was granted or queued before changes nothing.
        resources: What is wanted, in any order.
        mode: One mode for all of them.
        ttl_s: How long the locks last, in seconds, over 0 and at most `MAX_TTL_S`.
        wait_s: How long to wait, in seconds; 0 or None is a try.
        seq: Number of the last logged event; the tokens follow from it.
        review_blobs: Path -> id of the blob that a REVIEW lock reads.

    Returns:
        Grants, or one `LockQueued`, or nothing when there is nothing to do.

    Raises:
        LockRefused: HELD: in the way and the caller does not wait. UPGRADE: another holder waits to upgrade the same
            thing. DEADLOCK: waiting would close a cycle (LOCK-4).
        UsageError: No resources, or a duration out of range.
    """
    _check_ttl(ttl_s)
    if wait_s is not None and not (wait_s >= 0 and math.isfinite(wait_s)):
        raise UsageError(f"a wait of {wait_s} s is not a duration", "give 0 or more seconds")
    wanted = sorted(set(resources), key=lambda resource: resource.sort_key)
    if not wanted:
        raise UsageError("a lock request without a resource", "name at least one path")
    if table.granted(agent_id, request_id) or table.waiting(agent_id, request_id):
        return []
    wait = Wait(
        request_id=request_id,
        agent_id=agent_id,
        resources=tuple(wanted),
        ranks=tuple(_rank(table, agent_id, resource, mode) for resource in wanted),
        mode=mode,
        ttl_s=ttl_s,
        wait_s=wait_s or 0.0,
        order=table.next_order,
        review_blobs=dict(review_blobs or {}),
    )
    needed = [resource for resource, rank in zip(wanted, wait.ranks, strict=True) if rank is not Rank.HELD]
    if not needed:
        return []
    return _grant_or_queue(table, wait, needed, seq=seq)


def _grant_or_queue(table: LockTable, wait: Wait, needed: list[Resource], *, seq: int) -> list[Draft]:
    _refuse_second_upgrade(table, wait)
    obstacle = _obstacle(table, wait)
    if obstacle is not None and not wait.wait_s:
        raise _refusal(wait, obstacle, code="HELD")
    if cycle := find_cycle(table, wait):
        message = f"waiting for {obstacle[1]} would close a cycle" if obstacle else "the upgrade would close a cycle"
        raise LockRefused(
            f"{message}: {' -> '.join((*cycle, cycle[0]))}",
            "release a lock that the others wait for, then ask again",
            audit=((wait.agent_id, LockDeadlock(request_id=wait.request_id, cycle=cycle)),),
            code="DEADLOCK",
            cycle=list(cycle),
            held_by=cycle[1],
        )
    if obstacle is None:
        return _grants(table, wait, needed, seq=seq, waited=False)
    queued = LockQueued(
        request_id=wait.request_id,
        resources=wait.resources,
        ranks=wait.ranks,
        lock_type=wait.mode,
        ttl_s=wait.ttl_s,
        wait_s=wait.wait_s,
        position=1 + len({(other.agent_id, other.request_id) for other in table.waits_ahead_of(wait)}),
        holder=obstacle[0].agent_id,
        review_blobs=wait.review_blobs,
    )
    return [(wait.agent_id, queued)]


def _check_ttl(ttl_s: float) -> None:
    if not 0 < ttl_s <= MAX_TTL_S:
        raise UsageError(f"a lock of {ttl_s} s is not possible", f"over 0 and at most {MAX_TTL_S:g} seconds; renew it")


def _rank(table: LockTable, agent_id: str, resource: Resource, mode: LockMode) -> Rank:
    if table.held_by(agent_id, resource, mode) is not None:
        return Rank.HELD
    if mode is LockMode.EXCLUSIVE and table.held_by(agent_id, resource) is not None:
        return Rank.UPGRADE
    return Rank.PLAIN


def _refuse_second_upgrade(table: LockTable, wait: Wait) -> None:
    """Two holders that wait for each other to give up the same thing never end; the second is told at once."""
    for resource in _upgrades(wait):
        for other in table.waits_ahead_of(wait):
            if any(resource.overlaps(theirs) for theirs in _upgrades(other)):
                raise _refusal(wait, (other, resource), code="UPGRADE")


def _upgrades(wait: Wait) -> list[Resource]:
    return [resource for resource, rank in zip(wait.resources, wait.ranks, strict=True) if rank is Rank.UPGRADE]


def _obstacle(table: LockTable, wait: Wait) -> tuple[Lock | Wait, Resource] | None:
    """Who is in the way and where: the oldest holder, or else the first request in line."""
    holder = min(table.holders_against(wait), key=lambda lock: lock.token, default=None)
    if holder is not None:
        return holder, holder.resource
    ahead = min(table.waits_ahead_of(wait), key=lambda other: other.order, default=None)
    if ahead is None:
        return None
    return ahead, next(theirs for theirs in ahead.resources if any(map(theirs.overlaps, wait.resources)))


def _refusal(wait: Wait, obstacle: tuple[Lock | Wait, Resource], *, code: Literal["HELD", "UPGRADE"]) -> LockRefused:
    other, resource = obstacle
    does = "holds" if isinstance(other, Lock) else "waits for"
    region = resource.region
    denied = LockDenied(path=resource.path, lock_type=wait.mode, code=code, held_by=other.agent_id)
    return LockRefused(
        f"{other.agent_id} {does} {resource} ({other.mode})",
        LIST_HINT if code == "HELD" else "release your own lock and acquire it in EXCLUSIVE mode",
        audit=((wait.agent_id, denied),),
        code=code,
        held_by=other.agent_id,
        mode=other.mode.value,
        path=resource.path,
        region=None if region is None else str(region),
        lock_id=other.lock_id if isinstance(other, Lock) else None,
    )


def _grants(
    table: LockTable, wait: Wait, resources: Iterable[Resource], *, seq: int, waited: bool, before: int = 0
) -> list[Draft]:
    """One grant a resource, after `before` drafts; a weaker lock of the asker on the very same resource ends first."""
    drafts: list[Draft] = []
    for resource in resources:
        drafts.extend(
            (wait.agent_id, _released(lock, "stale" if lock.stale else "upgraded"))
            for lock in table.locks_on(resource.path)
            if lock.agent_id == wait.agent_id and (lock.stale or lock.is_weaker(resource, wait.mode))
        )
        token = seq + before + len(drafts) + 1
        grant = LockAcquired(
            lock_id=lock_id_of(token),
            path=resource.path,
            region=resource.region,
            lock_type=wait.mode,
            token=token,
            ttl_s=wait.ttl_s,
            request_id=wait.request_id,
            waited=waited,
            review_blob=wait.review_blobs.get(resource.path) if wait.mode is LockMode.REVIEW else None,
            base_oid=resource.views[0].base_oid if resource.views else None,
            views=resource.views,
        )
        drafts.append((wait.agent_id, grant))
    return drafts


def promote(
    table: LockTable, *, seq: int, alive: Callable[[str], bool], lapsed: Callable[[str, str], bool]
) -> list[Draft]:
    """Grant the waiting requests that nothing blocks; call again after applying, until it returns nothing.

    Whether a waiter still wants and may have the lock is asked at this very moment, not when it was queued: etcd
    granted locks to dead sessions for want of that (etcd issue 11456).

    Args:
        table: State after the last logged event.
        seq: Number of the last logged event.
        alive: Agent id -> whether its session lives.
        lapsed: Agent id and request id -> whether the wait has run out.

    Returns:
        Withdrawals of waiters that are gone (GONE) or too late (TIMEOUT), or else grants: at most one request an
        instance, because its next one may rest on the locks of this one.
    """
    ready = table.ready()
    withdrawn: list[Draft] = []
    for wait in ready:
        if not alive(wait.agent_id):
            withdrawn.append((wait.agent_id, LockWithdrawn(request_id=wait.request_id, code="GONE")))
        elif lapsed(wait.agent_id, wait.request_id):
            withdrawn.append((wait.agent_id, LockWithdrawn(request_id=wait.request_id, code="TIMEOUT")))
    if withdrawn:
        return withdrawn
    drafts: list[Draft] = []
    first_of_each = {wait.agent_id: wait for wait in reversed(ready)}.values()
    for wait in sorted(first_of_each, key=lambda wait: wait.order):
        drafts += _grants(table, wait, wait.resources, seq=seq, waited=True, before=len(drafts))
    return drafts


def release(
    table: LockTable,
    agent_id: str,
    *,
    lock_id: str | None = None,
    path: str | None = None,
    token: int | None = None,
    reason: str = "release",
) -> list[Draft]:
    """Give back one lock by id, or the asker's own locks on a path.

    Args:
        table: State after the last logged event.
        agent_id: The asker.
        lock_id: The lock; or
        path: all of the asker's locks on exactly this path and its regions.
        token: Where given, it must be the token of the lock (compare and swap).
        reason: Told to the others.

    Raises:
        StaleToken: The lock has ended, or is a newer one.
        Refused: Somebody else holds it.
        UsageError: Not exactly one of `lock_id` and `path`.
    """
    locks = _own(table, agent_id, lock_id=lock_id, path=path, token=token)
    return [(agent_id, _released(lock, reason)) for lock in locks]


def renew(
    table: LockTable,
    agent_id: str,
    *,
    lock_id: str | None = None,
    path: str | None = None,
    token: int | None = None,
    ttl_s: float | None = None,
) -> list[Draft]:
    """Let one lock by id, or the asker's own locks on a path, run for `ttl_s` more seconds; tokens stay.

    Args:
        table: State after the last logged event.
        agent_id: The asker.
        lock_id: The lock; or
        path: all of the asker's locks on exactly this path and its regions.
        token: Where given, it must be the token of the lock.
        ttl_s: In seconds from now, over 0 and at most `MAX_TTL_S`; None repeats the lock's own.

    Raises:
        StaleToken: The lock has ended, or is a newer one.
        Refused: Somebody else holds it.
        UsageError: Not exactly one of `lock_id` and `path`, or a duration out of range.
    """
    if ttl_s is not None:
        _check_ttl(ttl_s)
    return [
        (agent_id, LockRenewed(lock_id=lock.lock_id, token=lock.token, ttl_s=lock.ttl_s if ttl_s is None else ttl_s))
        for lock in _own(table, agent_id, lock_id=lock_id, path=path, token=token)
    ]


def _own(table: LockTable, agent_id: str, *, lock_id: str | None, path: str | None, token: int | None) -> list[Lock]:
    if lock_id is not None and path is None:
        lock = table.find(lock_id)
        found = [] if lock is None else [lock]
    elif path is not None and lock_id is None:
        found = [lock for lock in table.locks_on(path) if lock.resource.path == path]
    else:
        raise UsageError("a lock is named by its id or by its path", "give one of the two")
    own = [lock for lock in found if lock.agent_id == agent_id]
    if found and not own:
        raise Refused(f"{found[0].agent_id} holds {found[0].resource}, not you", LIST_HINT, held_by=found[0].agent_id)
    current = [lock for lock in own if token is None or lock.token == token]
    if not current:
        raise StaleToken(f"{lock_id or path} is no longer held with that token", REACQUIRE_HINT, token=token)
    return current


def break_lock(table: LockTable, by: str, lock_id: str, reason: str) -> list[Draft]:
    """End somebody's lock; whether `by` may do that is the caller's question.

    Raises:
        StaleToken: The lock has ended already.
    """
    lock = table.find(lock_id)
    if lock is None:
        raise StaleToken(f"{lock_id} is no longer held", LIST_HINT)
    path, region = lock.resource.path, lock.resource.region
    data = LockBroken(lock_id=lock_id, path=path, region=region, token=lock.token, reason=reason, by=by)
    return [(lock.agent_id, data)]


def expire(table: LockTable, lock_id: str, token: int) -> list[Draft]:
    """End a lock whose time has run out; nothing when that lock is no longer the one of the token."""
    lock = table.find(lock_id)
    return [] if lock is None or lock.token != token else [(lock.agent_id, _expired(lock))]


def withdraw(
    table: LockTable, agent_id: str, request_id: str, code: Literal["TIMEOUT", "DEADLOCK", "GONE"]
) -> list[Draft]:
    """End a wait without a grant; nothing when it does not wait."""
    if table.waiting(agent_id, request_id) is None:
        return []
    return [(agent_id, LockWithdrawn(request_id=request_id, code=code))]


def drop_holder(table: LockTable, agent_id: str, reason: str) -> list[Draft]:
    """End all that an instance waits for and holds, because its session ended.

    Args:
        table: State after the last logged event.
        agent_id: The instance.
        reason: `SESSION_LOST` ends the locks as expired, any other as released for that reason.
    """
    drafts: list[Draft] = [
        (agent_id, LockWithdrawn(request_id=wait.request_id, code="GONE")) for wait in table.waits_of(agent_id)
    ]
    drafts.extend(
        (agent_id, _expired(lock) if reason == SESSION_LOST else _released(lock, reason))
        for lock in table.locks_of(agent_id)
    )
    return drafts


def check_token(table: LockTable, agent_id: str, *, path: str, token: int) -> Lock:
    """The instance's own current lock on the path, or on a region of it, that was granted with exactly this token.

    A higher token is refused like a lower one: the token names one grant (LOCK-3). The caller looks at the mode.

    Raises:
        StaleToken: There is no such lock now, or its region is stale.
    """
    for lock in table.locks_on(path):
        is_on_path = lock.resource.path == path or lock.resource.covers(Resource.model_construct(path=path))
        if lock.agent_id == agent_id and is_on_path and lock.token == token and not lock.stale:
            return lock
    raise StaleToken(f"token {token} is not the current one of {path}", REACQUIRE_HINT, path=path, token=token)


def _released(lock: Lock, reason: str) -> LockReleased:
    path, region = lock.resource.path, lock.resource.region
    return LockReleased(lock_id=lock.lock_id, path=path, region=region, token=lock.token, reason=reason)


def _expired(lock: Lock) -> LockExpired:
    path, region = lock.resource.path, lock.resource.region
    return LockExpired(lock_id=lock.lock_id, path=path, region=region, token=lock.token)
