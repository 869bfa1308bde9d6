"""Looks after work that was saved before its worktree was removed: which of it may go, and when (GIT-1)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aegis_tui.errors import UsageError
from aegis_tui.ports.rescues import RescuedWork, RescueStore

_log = logging.getLogger(__name__)

PREFIX = "refs/aegis/rescue/"
_DAY_S, _MIB = 86_400, 1024 * 1024


@dataclass(frozen=True, slots=True)
class Retention:
    """When saved work is deleted, by age in days or for want of space in bytes; the person sets it in `[rescue]`."""

    days: float
    """Work is deleted after as many days, merged or not; 0 keeps it for ever."""
    merged_days: float
    """Work that is merged is deleted after as many days."""
    budget_bytes: int
    """If all of it takes more, work that is merged is deleted, oldest first, whatever its age."""


class Rescues:
    """The saved work of one repository.

    Args:
        store: Where it is.
        now: Returns the time, in seconds since 1970.
    """

    def __init__(self, store: RescueStore, now: Callable[[], float] = time.time) -> None:
        self.store, self._now = store, now

    async def find(self, name: str) -> RescuedWork:
        """Return the work with that ref, in full or without its beginning: `run1/w01/1`.

        Raises:
            UsageError: There is none.
            GitError: git fails.
        """
        wanted = PREFIX + name.removeprefix(PREFIX)
        for work in await self.store.list_all():
            if work.ref == wanted:
                return work
        raise UsageError(f"there is no rescued work {name}", "list all of it: aegis-tui rescue list")

    async def due(self, retention: Retention) -> list[RescuedWork]:
        """Return the work that is to be deleted by now, oldest first; nothing is deleted.

        That is work older than `days` (unless 0), or merged and older than `merged_days`; and, while the rest takes
        more than `budget_bytes`, the oldest merged work. Work that is nowhere else is only deleted for its age.

        Raises:
            GitError: git fails.
        """
        every = await self.store.list_all()
        due = [work for work in every if self._is_old(work, retention)]
        left = sum(work.size_bytes for work in every if work not in due)
        for work in every:
            if left > retention.budget_bytes and work.is_merged and work not in due:
                due.append(work)
                left -= work.size_bytes
        return sorted(due, key=lambda work: (work.saved_unix, work.ref))

    def _is_old(self, work: RescuedWork, retention: Retention) -> bool:
        age_days = (self._now() - work.saved_unix) / _DAY_S
        if retention.days and age_days >= retention.days:
            return True
        return work.is_merged and age_days >= retention.merged_days

    async def tidy(self, retention: Retention) -> str:
        """Delete what is due; return a warning for the person if the rest takes too much space, else an empty text.

        Raises:
            Conflict: A ref points elsewhere by now; what was due before it is deleted.
            GitError: git fails.
        """
        await self.delete(await self.due(retention))
        used = sum(work.size_bytes for work in await self.store.list_all())
        if used <= retention.budget_bytes:
            return ""
        return (
            f"saved work takes {used // _MIB} MiB, more than rescue.budget_mb: "
            "aegis-tui rescue list shows it, aegis-tui rescue prune REF --yes deletes what you name"
        )

    async def delete(self, works: Sequence[RescuedWork]) -> None:
        """Delete rescue refs, in the given order; git drops their objects later.

        Raises:
            Conflict: One points elsewhere by now, or is gone; those before it are deleted.
            GitError: git fails.
        """
        for work in works:
            await self.store.delete(work)
            _log.info("saved work deleted", extra={"ref": work.ref, "oid": work.oid, "merged": work.is_merged})
