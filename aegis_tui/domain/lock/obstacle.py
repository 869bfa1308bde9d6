"""What blocks a lock request: another lock or an earlier request, and where."""

from __future__ import annotations

from typing import Any, NamedTuple

from aegis_tui.domain.lock.model import GrantedLock, Resource
from aegis_tui.domain.lock.table import LockTable
from aegis_tui.domain.lock.wait import Wait


class LockObstacle(NamedTuple):
    """The lock or the earlier request that blocks a request, and the resource where they meet."""

    by: GrantedLock | Wait
    at: Resource

    def facts(self, table: LockTable) -> dict[str, Any]:
        """Return holder, mode and place as fields for a refusal: `held_by`, `mode`, `path`, `region` and `lock_id`.

        `lock_id` is the lock that must end first; None if only requests block it. `region` is None for a whole path.
        """
        first = self.by if isinstance(self.by, GrantedLock) else _oldest(table, self.by)
        region = self.at.region
        return {
            "held_by": self.by.agent_id,
            "mode": self.by.mode.value,
            "path": self.at.path,
            "region": None if region is None else str(region),
            "lock_id": None if first is None else first.lock_id,
        }


def obstacle(table: LockTable, wait: Wait) -> LockObstacle | None:
    """Return what blocks the request: the oldest lock of another instance, else the first request ahead of it.

    None if nothing does.
    """
    if (holder := _oldest(table, wait)) is not None:
        return LockObstacle(holder, holder.resource)
    ahead = min(table.waits_ahead_of(wait), key=lambda other: other.order, default=None)
    if ahead is None:
        return None
    return LockObstacle(ahead, next(theirs for theirs in ahead.resources if any(map(theirs.overlaps, wait.resources))))


def _oldest(table: LockTable, wait: Wait) -> GrantedLock | None:
    return min(table.holders_against(wait), key=lambda lock: lock.token, default=None)
