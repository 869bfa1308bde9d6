"""Decide who gets a lock, who waits and who is refused: pure functions over a `LockTable`.

Each function reads the table, changes nothing, and returns the events to log, in order, or raises the refusal.
The caller logs them, applies them, and calls `promote` until it returns nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Literal

from aegis_tui.domain.lock.cycle import find_cycle
from aegis_tui.domain.lock.end import LIST_HINT, check_ttl, released
from aegis_tui.domain.lock.events import LockAcquired, LockDeadlock, LockDenied, LockQueued, LockWithdrawn
from aegis_tui.domain.lock.model import Draft, GrantedLock, LockMode, LockRefused, Rank, Resource, lock_id_of
from aegis_tui.domain.lock.obstacle import LockObstacle, obstacle
from aegis_tui.domain.lock.table import LockTable
from aegis_tui.domain.lock.wait import Wait
from aegis_tui.errors import UsageError


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

    What the instance already holds in a strong enough mode is not granted again; `table.held_by` finds those locks.

    Args:
        table: State after the last logged event.
        agent_id: The asker.
        request_id: Chosen by the client; a request that was granted or queued before changes nothing.
        resources: What is wanted, in any order.
        mode: One mode for all of them.
        ttl_s: How long the locks last, in seconds, over 0 and at most `MAX_TTL_S`.
        wait_s: How long to wait, in seconds; 0 or None does not wait.
        seq: Number of the last logged event; the tokens follow from it.
        review_blobs: Path -> id of the blob that a REVIEW lock reads.

    Returns:
        One grant for each resource, after the releases of the locks that it replaces; or one `LockQueued`; or nothing
        when there is nothing to do.

    Raises:
        LockRefused: HELD: another instance blocks it and the caller does not wait. UPGRADE: another holder already
            waits to upgrade the same resource. DEADLOCK: waiting would close a cycle (LOCK-4).
        UsageError: No resources, or a duration out of range.
    """
    check_ttl(ttl_s)
    if wait_s is not None and not (wait_s >= 0 and math.isfinite(wait_s)):
        raise UsageError(f"a request cannot wait {wait_s} s", "give 0 or more seconds")
    wanted = sorted(set(resources), key=lambda resource: resource.sort_key)
    if not wanted:
        raise UsageError("the lock request names no resource", "name at least one path")
    if table.granted(agent_id, request_id) or table.waiting(agent_id, request_id):
        return []
    wait = Wait(
        request_id=request_id,
        agent_id=agent_id,
        resources=tuple(wanted),
        ranks=tuple(map(partial(_rank, table, agent_id, mode), wanted)),
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
    blocker = obstacle(table, wait)
    if blocker is not None and not wait.wait_s:
        raise _refusal(table, wait, blocker, code="HELD")
    # A request that waits for nobody cannot close a cycle; most requests are such
    is_waiting = blocker is not None or table.waits_of(wait.agent_id)
    if is_waiting and (cycle := find_cycle(table, wait)):
        message = (
            f"waiting for {blocker.at} would cause a deadlock" if blocker else "the upgrade would cause a deadlock"
        )
        raise LockRefused(
            f"{message}: {' -> '.join((*cycle, cycle[0]))}",
            "release a lock that the others wait for, then ask again",
            audit=((wait.agent_id, LockDeadlock(request_id=wait.request_id, cycle=cycle)),),
            code="DEADLOCK",
            cycle=list(cycle),
            held_by=cycle[1],
        )
    if blocker is None:
        return _grants(table, wait, needed, seq=seq, waited=False)
    queued = LockQueued(
        request_id=wait.request_id,
        resources=wait.resources,
        ranks=wait.ranks,
        lock_type=wait.mode,
        ttl_s=wait.ttl_s,
        wait_s=wait.wait_s,
        position=1 + len({(other.agent_id, other.request_id) for other in table.waits_ahead_of(wait)}),
        holder=blocker.by.agent_id,
        review_blobs=wait.review_blobs,
    )
    return [(wait.agent_id, queued)]


def _rank(table: LockTable, agent_id: str, mode: LockMode, resource: Resource) -> Rank:
    if table.held_by(agent_id, resource, mode) is not None:
        return Rank.HELD
    if mode is LockMode.EXCLUSIVE and table.held_by(agent_id, resource) is not None:
        return Rank.UPGRADE
    return Rank.PLAIN


def _refuse_second_upgrade(table: LockTable, wait: Wait) -> None:
    """Return if no other holder waits to upgrade the same resource, or one that overlaps it, to an EXCLUSIVE lock.

    If one does, both would wait for each other.

    Raises:
        LockRefused: One does (code UPGRADE).
    """
    for resource in _upgrades(wait):
        for other in table.waits_ahead_of(wait):
            if any(resource.overlaps(theirs) for theirs in _upgrades(other)):
                raise _refusal(table, wait, LockObstacle(other, resource), code="UPGRADE")


def _upgrades(wait: Wait) -> list[Resource]:
    return [resource for resource, rank in zip(wait.resources, wait.ranks, strict=True) if rank is Rank.UPGRADE]


def _refusal(table: LockTable, wait: Wait, blocker: LockObstacle, *, code: Literal["HELD", "UPGRADE"]) -> LockRefused:
    does = "holds" if isinstance(blocker.by, GrantedLock) else "waits for"
    mutual = ""
    if code == "UPGRADE":
        mutual = ", which you hold too, so that each of you would wait for the other"
    denied = LockDenied(path=blocker.at.path, lock_type=wait.mode, code=code, held_by=blocker.by.agent_id)
    return LockRefused(
        f"{blocker.by.agent_id} {does} {blocker.at} ({blocker.by.mode}){mutual}",
        LIST_HINT if code == "HELD" else "release your own lock and acquire it in EXCLUSIVE mode",
        audit=((wait.agent_id, denied),),
        code=code,
        **blocker.facts(table),
    )


def _grants(
    table: LockTable, wait: Wait, resources: Iterable[Resource], *, seq: int, waited: bool, before: int = 0
) -> list[Draft]:
    """Return the grants of the resources, each directly after the releases of the asker's own locks that it ends.

    A grant ends the asker's locks on the path that are stale, or weaker than the new lock.

    Args:
        table: State after the last logged event.
        wait: The request.
        resources: Those of its resources that are to be granted.
        seq: Number of the last logged event.
        waited: Whether the request was queued before.
        before: How many events are logged before these; the tokens follow from it and `seq`.
    """
    drafts: list[Draft] = []
    ended: set[str] = set()
    for resource in resources:
        ending = [
            lock
            for lock in table.locks_on(resource.path)
            if lock.agent_id == wait.agent_id
            and lock.lock_id not in ended
            and (lock.stale or lock.is_weaker(resource, wait.mode))
        ]
        ended.update(lock.lock_id for lock in ending)
        drafts += [(wait.agent_id, released(lock, "stale" if lock.stale else "upgraded")) for lock in ending]
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
    table: LockTable,
    *,
    seq: int,
    alive: Callable[[str], bool],
    lapsed: Callable[[str, str], bool],
    may: Callable[[Wait], bool] = lambda _: True,
) -> list[Draft]:
    """Grant the waiting requests that nothing blocks; call again after applying, until it returns nothing.

    Whether a waiter lives and may still have the lock is checked now, not when it was queued: etcd granted locks to
    dead sessions because it did not check (etcd issue 11456).

    Args:
        table: State after the last logged event.
        seq: Number of the last logged event.
        alive: Agent id -> whether its session is alive.
        lapsed: Agent id and request id -> whether the wait has run out.
        may: Whether the partition still permits the request.

    Returns:
        Withdrawals of requests whose instance is gone (GONE), whose wait has run out (TIMEOUT) or which the partition
        no longer permits (PARTITION). If there are none: grants for at most one request of each instance, because its
        next request may depend on these locks.
    """
    if not (ready := table.ready()):
        return []
    withdrawn: list[Draft] = []
    for wait in ready:
        if not alive(wait.agent_id):
            withdrawn.append((wait.agent_id, LockWithdrawn(request_id=wait.request_id, code="GONE")))
        elif lapsed(wait.agent_id, wait.request_id):
            withdrawn.append((wait.agent_id, LockWithdrawn(request_id=wait.request_id, code="TIMEOUT")))
        elif not may(wait):
            withdrawn.append((wait.agent_id, LockWithdrawn(request_id=wait.request_id, code="PARTITION")))
    if withdrawn:
        return withdrawn
    drafts: list[Draft] = []
    first_of_each = {wait.agent_id: wait for wait in reversed(ready)}.values()
    for wait in sorted(first_of_each, key=lambda wait: wait.order):
        drafts += _grants(table, wait, wait.resources, seq=seq, waited=True, before=len(drafts))
    return drafts
