"""The locks that this instance holds, and the fencing tokens that it has written under (LOCK-3)."""

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
class OwnLock(Lease):
    """A lock of this instance, and the lines of its region in the file contents that it is known in."""

    grant: LockGrant
    until: float
    resource: Resource
    text: str = ""
    """The newest file content in which the region's lines are known; empty for a lock on a whole file."""

    def covers(self, wanted: Resource) -> bool:
        """Return whether this lock covers all of `wanted`.

        For a region: in every file content in which the lines of both are known; False if there is no such content.
        """
        if self.resource.region is None:
            return self.resource.covers(wanted)
        known = common(self.resource.views, wanted.views) if self.resource.path == wanted.path else []
        return bool(known) and all(contain(mine, theirs) for mine, theirs in known)

    def is_behind(self, text: str, outline: Outline | None) -> bool:
        """Return whether the lock is on a region whose lines in the content `text` are not, or not completely, known.

        False for a lock on a whole file.

        Args:
            text: The present content of the file.
            outline: Its symbols, if it can be parsed: a symbol may have grown beyond the known lines.
        """
        region = self.resource.region
        if region is None:
            return False
        spans = self._spans_in(text)
        named = outline.find(region.symbol) if outline and region.symbol else None
        return spans is None or (named is not None and not contain(spans, named.spans))

    def region_in(self, text: str) -> Region | None:
        """Return the same region in a later content of the file; None if its lines cannot be found there.

        A symbol stays the same, whether or not it is still there. None for a lock on a whole file.
        """
        region, spans = self.resource.region, self._spans_in(self.text)
        if region is None or region.symbol is not None:
            return region
        grown = grow_all(spans, line_hunks(self.text, text)) if spans else None
        return Region(lines=grown[0]) if grown else None

    def follow(self, before: str, after: str) -> None:
        """Update the region's lines after this instance changed the file's content from `before` to `after`.

        No effect if its lines in `before` are not known, or the change leaves none of them.
        """
        rewrite, spans = rewrite_of(before, after), self._spans_in(before)
        if spans and (grown := grow_all(spans, rewrite.hunks)):
            views = with_view(self.resource.views, View(base_oid=rewrite.new_oid, spans=grown))
            self.resource, self.text = self.resource.model_copy(update={"views": views}), after

    def _spans_in(self, text: str) -> tuple[Span, ...] | None:
        oid = blob_of(text)
        return next((view.spans for view in self.resource.views if view.base_oid == oid), None)


class HeldLocks:
    """The locks on files and regions that the hub granted to this instance and has not ended."""

    def __init__(self, link: HubLink) -> None:
        self._link = link
        self._held: dict[str, OwnLock] = {}
        self.used_tokens: list[int] = []
        """Fencing tokens of all writes for the present piece, in order; each submission of the piece lists them all."""

    def find(self, path: str) -> LockGrant | None:
        """Return a lock that is held on the file `path` or a part of it; None if there is none.

        One on the whole file is preferred, else the one with the lowest token.
        """
        grants = [held.grant for held in self._on(path)]
        return min(grants, key=lambda grant: (grant.region is not None, grant.token), default=None)

    def find_over(self, resource: Resource) -> LockGrant | None:
        """Return a held lock that covers all of `resource`; None if there is none."""
        return next((held.grant for held in self._held.values() if held.covers(resource)), None)

    def regions(self, path: str) -> list[OwnLock]:
        """Return the locks that are held on regions of `path`, sorted by token."""
        locks = (held for held in self._on(path) if held.grant.region is not None)
        return sorted(locks, key=lambda held: held.grant.token)

    def grants(self) -> list[LockGrant]:
        """Return all held locks, sorted by path and token."""
        held = (item.grant for item in self._held.values())
        return sorted(held, key=lambda grant: (grant.path, grant.token))

    def _on(self, path: str) -> list[OwnLock]:
        normal = unicodedata.normalize("NFC", path)
        return [held for held in self._held.values() if held.grant.path == normal]

    async def acquire(
        self, wanted: str | Resource, *, wait_s: float, on_wait: Callable[[], Awaitable[None]], text: str = ""
    ) -> LockGrant:
        """Return a lock that covers a file or a region; acquire it from the hub if none is held.

        If the caller is cancelled, the request is withdrawn.

        Args:
            wanted: POSIX path relative to the repository root, or a region with the lines it has in the worktree.
            wait_s: Seconds to wait in the hub's queue.
            on_wait: Awaited once when the wait becomes noticeable.
            text: The content of the file in which the region's lines were found.

        Raises:
            LockHeld: It was not granted in time.
            UsageError: No lock can be acquired on such a path, or the file has no such lines or symbol.
            PartitionRefused: This instance may not lock the path.
            HubUnavailable: The hub does not answer.
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
        self._held[grant.lock_id] = OwnLock(grant, end_of(grant), resource, text)
        return grant

    async def release(self, path: str, lock_id: str | None = None) -> None:
        """Release the locks on `path`, or only the one with that id; a lock that the hub has ended is forgotten.

        Raises:
            Refused: No such lock is held.
            AegisError: The hub refused or does not answer; the lock counts as still held.
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
        """Forget a lock under which the hub refuses writes, and try to release it; an error is ignored."""
        self.forget([grant.lock_id])
        with suppress(AegisError):
            await self._link.release_lock(grant.lock_id, grant.token)

    def follow(self, path: str, before: str, after: str) -> None:
        """Update the known lines of all locked regions of `path` after this instance changed its text.

        Args:
            path: The file.
            before: Its text before the change.
            after: Its text after it.
        """
        for held in self.regions(path):
            held.follow(before, after)

    async def release_all(self) -> None:
        """Release every lock. Errors are ignored: a lock that the hub did not release expires by itself."""
        for path in {held.grant.path for held in self._held.values()}:
            try:
                await self.release(path)
            except AegisError:
                continue

    def forget(self, lock_ids: Iterable[str]) -> list[str]:
        """Remove locks that the hub has ended and return the paths of those that were held; other ids are ignored."""
        ended = [held for name in lock_ids if (held := self._held.pop(name, None))]
        return [held.grant.path for held in ended]

    async def renew_due(self) -> list[str]:
        """Renew the locks that are due for renewal; return the paths of locks that the hub has ended.

        Raises:
            HubUnavailable: The hub does not answer; that lock and those after it are still held.
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
        """Record that something was written under the fencing token `token`."""
        if token not in self.used_tokens:
            self.used_tokens.append(token)


def resource_of(path: str, region: Region | None = None, views: tuple[View, ...] = ()) -> Resource:
    """Return the resource for a lock on a file or a region of it.

    Args:
        path: POSIX path relative to the repository root.
        region: The region; None for the whole file.
        views: The region's line numbers, for each version of the file in which they are known.

    Raises:
        UsageError: The path is absolute, or has an empty, `.` or `..` part, a backslash or an invisible character.
    """
    try:
        return Resource(path=path, region=region, views=views)
    except ValueError as error:
        raise UsageError(
            f"no lock can be taken on {path!a}",
            "A path must have '/' between its parts and no backslash, control or invisible character; rename the file",
        ) from error


def blob_of(text: str) -> str:
    """Return the blob id of a text as it would be stored on disk in UTF-8; regions refer to contents by this id."""
    return blob_id(text.encode("utf-8", "replace"))


def name_of(grant: LockGrant) -> str:
    """Return the name of a lock for display: its path, and its region if it has one."""
    return f"{grant.path}:{grant.region}" if grant.region else grant.path
