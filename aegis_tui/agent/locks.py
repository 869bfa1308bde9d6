"""The locks this instance holds, and the fencing tokens it has written under (LOCK-3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from aegis_tui.errors import AegisError, Refused, StaleToken
from aegis_tui.ports.hub_link import HubLink, LockGrant

_NOTICEABLE_S = 0.4


@dataclass(slots=True)
class _Held:
    grant: LockGrant
    renew_at: float


class HeldLocks:
    """Locks by path. Only what the hub granted and has not taken back is in here."""

    def __init__(self, link: HubLink) -> None:
        self._link = link
        self._held: dict[str, _Held] = {}
        self.used_tokens: list[int] = []
        """Tokens of all writes for the present piece, in order; a piece handed in again names them again."""

    def find(self, path: str) -> LockGrant | None:
        """The lock held on `path`, or None."""
        held = self._held.get(path)
        return held.grant if held else None

    def grants(self) -> list[LockGrant]:
        """All locks held, by path."""
        return [self._held[path].grant for path in sorted(self._held)]

    async def acquire(self, path: str, *, wait_s: float, on_wait: Callable[[], Awaitable[None]]) -> LockGrant:
        """Return the lock of `path`, taking it if it is not held yet.

        Args:
            path: POSIX path relative to the repository root.
            wait_s: Seconds to wait in the hub's queue.
            on_wait: Awaited once when the wait gets noticeable.

        Raises:
            LockHeld: Not granted in time.
        """
        if grant := self.find(path):
            return grant
        asked = asyncio.ensure_future(self._link.acquire_lock(path, lock_type="EXCLUSIVE", wait_s=wait_s))
        try:
            done, _ = await asyncio.wait({asked}, timeout=_NOTICEABLE_S)
            if not done:
                await on_wait()
            grant = await asked
        finally:
            if not asked.done():
                asked.cancel()
                await asyncio.wait({asked})
        self._keep(grant)
        return grant

    async def release(self, path: str) -> None:
        """Give the lock of `path` back; one that is gone already is forgotten.

        Raises:
            Refused: No lock is held on `path`.
        """
        held = self._held.pop(path, None)
        if held is None:
            raise Refused(f"you hold no lock on {path}", code="lock.not_held")
        try:
            await self._link.release_lock(held.grant.lock_id, held.grant.token)
        except StaleToken:
            return

    async def release_all(self) -> None:
        """Give every lock back; what the hub refuses or cannot hear lapses by itself."""
        for path in list(self._held):
            try:
                await self.release(path)
            except AegisError:
                continue

    def forget(self, lock_ids: Iterable[str]) -> list[str]:
        """Drop locks that the hub took back and return their paths."""
        gone = set(lock_ids)
        lost = [path for path, held in self._held.items() if held.grant.lock_id in gone]
        for path in lost:
            del self._held[path]
        return lost

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
                self._keep(grant)
        return lost

    def mark_used(self, token: int) -> None:
        """Remember that something was written under `token`."""
        if token not in self.used_tokens:
            self.used_tokens.append(token)

    def _keep(self, grant: LockGrant) -> None:
        renew_at = asyncio.get_running_loop().time() + grant.expires_in_s / 2
        self._held[grant.path] = _Held(grant, renew_at)
