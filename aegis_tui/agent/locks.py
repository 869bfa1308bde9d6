"""The locks this instance holds, and the fencing tokens it has written under (LOCK-3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from aegis_tui.domain.lock import Resource
from aegis_tui.domain.region import Rewrite, View, grow_all, with_view
from aegis_tui.errors import AegisError, Refused, StaleToken
from aegis_tui.ports.hub_link import HubLink, LockGrant

_NOTICEABLE_S = 0.4


@dataclass(slots=True)
class _Held:
    grant: LockGrant
    resource: Resource
    renew_at: float


class HeldLocks:
    """Locks on files and regions. Only what the hub granted and has not taken back is in here."""

    def __init__(self, link: HubLink) -> None:
        self._link = link
        self._held: dict[str, _Held] = {}
        self.used_tokens: list[int] = []
        """Tokens of all writes for the present piece, in order; a piece handed in again names them again."""

    def find(self, path: str) -> LockGrant | None:
        """A lock held on `path`, that of the whole file first, or None."""
        grants = [held.grant for held in self._on(path)]
        return min(grants, key=lambda grant: (grant.region is not None, grant.token), default=None)

    def find_over(self, resource: Resource) -> LockGrant | None:
        """A lock held that covers all of `resource`, or None."""
        return next((held.grant for held in self._on(resource.path) if held.resource.covers(resource)), None)

    def grants(self) -> list[LockGrant]:
        """All locks held, by path."""
        held = (item.grant for item in self._held.values())
        return sorted(held, key=lambda grant: (grant.path, grant.token))

    def _on(self, path: str) -> list[_Held]:
        return [held for held in self._held.values() if held.grant.path == path]

    async def acquire(
        self, wanted: str | Resource, *, wait_s: float, on_wait: Callable[[], Awaitable[None]]
    ) -> LockGrant:
        """Return the lock of a file or a region, taking it if it is not held yet.

        Args:
            wanted: POSIX path relative to the repository root, or a region with the lines it has in the worktree.
            wait_s: Seconds to wait in the hub's queue.
            on_wait: Awaited once when the wait gets noticeable.

        Raises:
            LockHeld: Not granted in time.
        """
        resource = Resource(path=wanted) if isinstance(wanted, str) else wanted
        if grant := self.find_over(resource):
            return grant
        region = resource.region
        asked = asyncio.ensure_future(
            self._link.acquire_lock(
                resource.path,
                lock_type="EXCLUSIVE",
                wait_s=wait_s,
                lines=region.lines if region else None,
                symbol=region.symbol if region else None,
            )
        )
        try:
            done, _ = await asyncio.wait({asked}, timeout=_NOTICEABLE_S)
            if not done:
                await on_wait()
            grant = await asked
        finally:
            if not asked.done():
                asked.cancel()
                await asyncio.wait({asked})
        known = self._held.get(grant.lock_id)
        self._keep(grant, known.resource if known else resource if grant.region else Resource(path=resource.path))
        return grant

    async def release(self, path: str, lock_id: str | None = None) -> None:
        """Give the locks of `path` back, or the one of that id; one that is gone already is forgotten.

        Raises:
            Refused: No such lock is held.
        """
        ending = [held.grant for held in self._on(path) if lock_id in (None, held.grant.lock_id)]
        if not ending:
            raise Refused(f"you hold no lock on {path}", code="lock.not_held")
        for grant in ending:
            self._held.pop(grant.lock_id, None)
            with suppress(StaleToken):
                await self._link.release_lock(grant.lock_id, grant.token)

    def follow(self, path: str, rewrite: Rewrite) -> None:
        """Keep the regions of `path` on their lines after a write of one's own."""
        for held in self._on(path):
            view = next((item for item in held.resource.views if item.base_oid == rewrite.base_oid), None)
            spans = grow_all(view.spans, rewrite.hunks) if view else None
            if spans:
                views = with_view(held.resource.views, View(base_oid=rewrite.new_oid, spans=spans))
                held.resource = held.resource.model_copy(update={"views": views})

    async def release_all(self) -> None:
        """Give every lock back; what the hub refuses or cannot hear lapses by itself."""
        for path in {held.grant.path for held in self._held.values()}:
            try:
                await self.release(path)
            except AegisError:
                continue

    def forget(self, lock_ids: Iterable[str]) -> list[str]:
        """Drop locks that the hub took back and return their paths."""
        ended = [held for name in lock_ids if (held := self._held.pop(name, None))]
        return [held.grant.path for held in ended]

    async def renew_due(self) -> list[str]:
        """Renew locks that have used up half their time; return the paths of those that were lost.

        Raises:
            HubUnavailable: The hub does not answer; nothing is forgotten.
        """
        lost: list[str] = []
        for held in list(self._held.values()):
            if asyncio.get_running_loop().time() < held.renew_at:
                continue
            grant = held.grant
            try:
                await self._link.command("lock:renew", lock_id=grant.lock_id, token=grant.token)
            except (StaleToken, Refused):
                lost += self.forget([grant.lock_id])
            else:
                self._keep(grant, held.resource)
        return lost

    def mark_used(self, token: int) -> None:
        """Remember that something was written under `token`."""
        if token not in self.used_tokens:
            self.used_tokens.append(token)

    def _keep(self, grant: LockGrant, resource: Resource) -> None:
        renew_at = asyncio.get_running_loop().time() + grant.expires_in_s / 2
        self._held[grant.lock_id] = _Held(grant, resource, renew_at)


def name_of(grant: LockGrant) -> str:
    """A lock as it is shown: its path, and its region where it has one."""
    return f"{grant.path}:{grant.region}" if grant.region else grant.path
