"""Whether the bytes that are handed in or composed are those that were written under locks (LOCK-3).

Looks at contents only and says what they answer to; what follows from that is decided in the core. A writer may name
what it wrote by the id of the file on disk or by the id git has for it, so contents are compared by every name they
have. A rebase makes bytes that nobody wrote as such: they are as good as the writes they are put together from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from aegis_tui.domain.lock.fence import FencedWrite, PieceFences, dropped_lines, only_written
from aegis_tui.domain.lock.fencing import overtaken_finding
from aegis_tui.domain.lock.region import names_of
from aegis_tui.domain.review.finding import Finding
from aegis_tui.errors import GitError
from aegis_tui.ports.repository import ChangedPath, Repository

_MAX_BYTES = 8 << 20
"""A larger file is only known by its id; the agents' own tools write no file of that size."""

_LARGE = b"\0larger than what is compared"
"""Stands for the content of a larger file: what is put over it is taken to drop lines."""

_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class FenceCheck:
    """Compares contents of one piece with the locked writes that are known of it."""

    def __init__(self, repository: Repository, fences: PieceFences) -> None:
        self._repository, self._fences = repository, fences

    async def answers(self, base: str, changed: Iterable[ChangedPath]) -> dict[str, tuple[str, ...]]:
        """For each changed file with locked writes, the ids of writes that its handed-in bytes answer to.

        Args:
            base: The commit that the changes are against.
            changed: What is handed in. A file that is deleted has no bytes and is left out.
        """
        return {
            item.path: await self._answer(base, item, writes)
            for item in changed
            if item.status != "D" and (writes := self._fences.writes.get(item.path))
        }

    async def _answer(self, base: str, item: ChangedPath, writes: Sequence[FencedWrite]) -> tuple[str, ...]:
        handed = await self._read(item.blob)
        if handed is None:
            return (item.blob,)
        names = {item.blob, *names_of(handed)}
        before = await self._read(f"{base}:{item.path}")
        if writes[-1].new_oid in names or before is None or not names_of(before).isdisjoint(_oids(writes)):
            return tuple(sorted(names))
        if await self._is_put_together(handed, before, writes):
            names.add(writes[-1].new_oid)
        return tuple(sorted(names))

    async def _is_put_together(self, handed: bytes, base: bytes, writes: Sequence[FencedWrite]) -> bool:
        """The base has moved since the writes: the bytes may hold what is composed and what was written, no more.

        Where no write can be read, because its writer names files as they are on disk, the token has to do.
        """
        contents = {oid: content for oid in _oids(writes) if (content := await self._read_id(oid)) is not None}
        if not any(write.new_oid in contents for write in writes):
            return True
        return writes[-1].new_oid in contents and only_written(handed, base, contents.values())

    async def dropped(self, working: str, tree: str | None) -> list[Finding]:
        """Files in which a merge onto the working ref would take away lines composed under a newer token.

        Args:
            working: Where the working ref stands.
            tree: The merged tree; None where the merge is not clean, which is told otherwise.
        """
        found = []
        for path, by in self._fences.overtaken.items() if tree else ():
            composed = await self._read(f"{working}:{path}", if_large=_LARGE)
            merged = await self._read(f"{tree}:{path}", if_large=_LARGE)
            if composed is None:
                continue
            is_large = _LARGE in (composed, merged)
            if is_large or dropped_lines(composed, merged or b"", await self._seen(path)):
                found.append(overtaken_finding(path, by))
        return found

    async def _seen(self, path: str) -> list[bytes]:
        """Contents that the piece's instances started from, or wrote over or under a lock."""
        own = [await self._read_id(oid) for oid in _oids(self._fences.writes.get(path, ()))]
        started = [await self._read(f"{fork}:{path}") for fork in self._fences.forks]
        return [content for content in (*own, *started) if content is not None]

    async def _read_id(self, oid: str) -> bytes | None:
        """The content of that blob id, which came from a client; None where git does not have it."""
        return await self._read(oid) if _OBJECT_ID.fullmatch(oid) else None

    async def _read(self, name: str, *, if_large: bytes | None = None) -> bytes | None:
        try:
            return await self._repository.read_blob(name, limit=_MAX_BYTES)
        except GitError as error:
            return if_large if error.code == "git.output" else None


def _oids(writes: Iterable[FencedWrite]) -> list[str]:
    """What was there and what was written, by id, each once."""
    return list(dict.fromkeys(oid for item in writes for oid in (item.base_oid, item.new_oid) if oid))
