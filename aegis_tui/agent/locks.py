"""The locks this instance holds, and the fencing tokens it has written under (LOCK-3)."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from aegis_tui.domain.lock.model import Region, Resource
from aegis_tui.domain.lock.region import (
    Span,
    View,
    blob_id,
    common,
    contain,
    grow_all,
    line_hunks,
    rewrite_of,
    with_view,
)
from aegis_tui.domain.lock.symbol import Outline
from aegis_tui.errors import AegisError, Refused, StaleToken, UsageError
from aegis_tui.ports.hub_link import HubLink, LockGrant
from aegis_tui.sdk.lease import Lease, end_of

_NOTICEABLE_S = 0.4


@dataclass(slots=True)
class Held(Lease):
    """A lock of this instance, and where its region lies."""

    grant: LockGrant
    until: float
    resource: Resource
    text: str = ""
    """The newest content of the file that the region is known in; empty for a whole file."""

    def covers(self, wanted: Resource) -> bool:
        """Whether all of `wanted` lies in this lock, in every content that both are known in, of which there is one."""
        if self.resource.region is None:
            return self.resource.covers(wanted)
        known = common(self.resource.views, wanted.views) if self.resource.path == wanted.path else []
        return bool(known) and all(contain(mine, theirs) for mine, theirs in known)

    def is_behind(self, text: str, outline: Outline | None) -> bool:
        """Whether it is on a region of which nobody knows where all of it lies while the file holds `text`."""
        region = self.resource.region
        if region is None:
            return False
        spans = self._spans_in(text)
        named = outline.find(region.symbol) if outline and region.symbol else None
        return spans is None or (named is not None and not contain(spans, named.spans))

    def region_in(self, text: str) -> Region | None:
        """The same region in a later content of the file; None when its lines cannot be told there."""
        region, spans = self.resource.region, self._spans_in(self.text)
        if region is None or region.symbol is not None:
            return region
        grown = grow_all(spans, line_hunks(self.text, text)) if spans else None
        return Region(lines=grown[0]) if grown else None

    def follow(self, before: str, after: str) -> None:
        """Keep the region on its lines after a write of one's own."""
        rewrite, spans = rewrite_of(before, after), self._spans_in(before)
        if spans and (grown := grow_all(spans, rewrite.hunks)):
            views = with_view(self.resource.views, View(base_oid=rewrite.new_oid, spans=grown))
            self.resource, self.text = self.resource.model_copy(update={"views": views}), after

    def _spans_in(self, text: str) -> tuple[Span, ...] | None:
        oid = blob_of(text)
        return next((view.spans for view in self.resource.views if view.base_oid == oid), None)


class HeldLocks:
    """Locks on files and regions. Only what the hub granted and has not taken back is in here."""

    def __init__(self, link: HubLink) -> None:
        self._link = link
        self._held: dict[str, Held] = {}
        self.used_tokens: list[int] = []
        """Tokens of all writes for the present piece, in order; a piece handed in again names them again."""

    def find(self, path: str) -> LockGrant | None:
        """A lock held on `path`, that of the whole file first, or None."""
        grants = [held.grant for held in self._on(path)]
        return min(grants, key=lambda grant: (grant.region is not None, grant.token), default=None)

    def find_over(self, resource: Resource) -> LockGrant | None:
        """A lock held that covers all of `resource`, or None."""
        return next((held.grant for held in self._held.values() if held.covers(resource)), None)

    def regions(self, path: str) -> list[Held]:
        """The locks held on regions of `path`, by token."""
        found = (held for held in self._on(path) if held.grant.region is not None)
        return sorted(found, key=lambda held: held.grant.token)

    def grants(self) -> list[LockGrant]:
        """All locks held, by path."""
        held = (item.grant for item in self._held.values())
        return sorted(held, key=lambda grant: (grant.path, grant.token))

    def _on(self, path: str) -> list[Held]:
        normal = unicodedata.normalize("NFC", path)
        return [held for held in self._held.values() if held.grant.path == normal]

    async def acquire(
        self, wanted: str | Resource, *, wait_s: float, on_wait: Callable[[], Awaitable[None]], text: str = ""
    ) -> LockGrant:
        """Return the lock of a file or a region, taking it if it is not held yet.

        Args:
            wanted: POSIX path relative to the repository root, or a region with the lines it has in the worktree.
            wait_s: Seconds to wait in the hub's queue.
            on_wait: Awaited once when the wait gets noticeable.
            text: The content of the file that a region was found in.

        Raises:
            LockHeld: Not granted in time.
            UsageError: No lock can be taken on such a path.
        """
        resource = resource_of(wanted) if isinstance(wanted, str) else wanted
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
        if known is not None:
            resource, text = known.resource, known.text
        elif grant.region is None:
            resource, text = Resource(path=grant.path), ""
        self._held[grant.lock_id] = Held(grant, end_of(grant), resource, text)
        return grant

    async def release(self, path: str, lock_id: str | None = None) -> None:
        """Give the locks of `path` back, or the one of that id; one that is gone already is forgotten.

        Raises:
            Refused: No such lock is held.
            HubUnavailable: The hub did not hear it; the lock is still held.
        """
        ending = [held for held in self._on(path) if lock_id in (None, held.grant.lock_id)]
        if not ending:
            raise Refused(f"you hold no lock on {path}", code="lock.not_held")
        for held in ending:
            grant = held.grant
            self._held.pop(grant.lock_id, None)
            try:
                await self._link.release_lock(grant.lock_id, grant.token)
            except StaleToken:
                continue
            except AegisError:
                self._held[grant.lock_id] = held
                raise

    async def give_up(self, grant: LockGrant) -> None:
        """Forget a lock that the hub takes no write under any more, and free what may be left of it."""
        self.forget([grant.lock_id])
        with suppress(AegisError):
            await self._link.release_lock(grant.lock_id, grant.token)

    def follow(self, path: str, before: str, after: str) -> None:
        """Keep the regions of `path` on their lines after a write of one's own."""
        for held in self.regions(path):
            held.follow(before, after)

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
        """Renew locks that are due for it; return the paths of those that were lost.

        Raises:
            HubUnavailable: The hub does not answer; nothing is forgotten.
        """
        lost: list[str] = []
        for held in list(self._held.values()):
            if not held.is_due:
                continue
            try:
                await held.renew(self._link.command)
            except (StaleToken, Refused):
                lost += self.forget([held.grant.lock_id])
        return lost

    def mark_used(self, token: int) -> None:
        """Remember that something was written under `token`."""
        if token not in self.used_tokens:
            self.used_tokens.append(token)


def resource_of(path: str, region: Region | None = None, views: tuple[View, ...] = ()) -> Resource:
    """What a lock is taken on.

    Raises:
        UsageError: No lock can be taken on such a path.
    """
    try:
        return Resource(path=path, region=region, views=views)
    except ValueError as error:
        raise UsageError(
            f"no lock can be taken on {path!a}",
            "A path has '/' between its parts and no backslash, control or invisible character; rename the file",
        ) from error


def blob_of(text: str) -> str:
    """The blob id of a text as it lies on the disk, which is what regions are known by."""
    return blob_id(text.encode("utf-8", "replace"))


def name_of(grant: LockGrant) -> str:
    """A lock as it is shown: its path, and its region where it has one."""
    return f"{grant.path}:{grant.region}" if grant.region else grant.path
