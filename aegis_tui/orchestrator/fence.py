"""Checks that the contents which a piece submits or merges are those that were written under locks (LOCK-3).

This module only compares contents with recorded writes; the domain decides what follows from a difference. A writer
may record the id of the file on disk or git's blob id of it, so contents are compared by every id that they can have.
A rebase produces contents that nobody wrote as a whole: they are accepted if they consist of recorded writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from aegis_tui.domain.lock.fence import FencedWrite, PieceFences, dropped_lines, only_written
from aegis_tui.domain.lock.fencing import overtaken_finding
from aegis_tui.domain.lock.region import names_of
from aegis_tui.domain.review.finding import Finding
from aegis_tui.errors import GitError
from aegis_tui.ports.commits import ChangedPath
from aegis_tui.ports.repository import Repository

_MAX_BYTES = 8 << 20
"""Larger files are not read, only compared by id; the agents' own tools write no file of that size."""

_LARGE = b"\0larger than what is compared"
"""Placeholder for the content of a larger file. A change to such a file is always taken to drop lines."""

_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class FenceCheck:
    """Compares the contents of one piece with the recorded writes under locks of its instances.

    No `GitError` is raised for a content that git cannot read.
    """

    def __init__(self, repository: Repository, fences: PieceFences) -> None:
        self._repository, self._fences = repository, fences

    async def answers(self, base: str, changed: Iterable[ChangedPath]) -> dict[str, tuple[str, ...]]:
        """Return for each changed file with recorded writes the content ids that its submitted content counts as.

        The ids are sorted; the caller compares them with the recorded writes. If the content was put together from
        several writes, for example by a rebase, the id of the last write is among them. A content that git cannot read,
        or over 8 MiB, has only its blob id. Empty if no changed file has recorded writes.

        Args:
            base: The commit that the changes are relative to.
            changed: The submitted changes. Deleted files have no content and are left out.
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
        """Return whether a content consists only of lines of the base and of recorded writes.

        Needed where the base has changed since the writes. True if git has the content of none of the writes, because
        their writer records the ids of files on disk: then only the fencing token can be checked. False if git has
        some, but not that of the last write.

        Args:
            handed: The submitted content of the file.
            base: Its content in the commit that the changes are relative to.
            writes: What was written to it under locks, oldest first.
        """
        contents = {oid: content for oid in _oids(writes) if (content := await self._read_id(oid)) is not None}
        if not any(write.new_oid in contents for write in writes):
            return True
        return writes[-1].new_oid in contents and only_written(handed, base, contents.values())

    async def dropped(self, working: str, tree: str | None) -> list[Finding]:
        """Return a finding for each file in which a merge would remove lines that another piece wrote after this one.

        Those lines were written under a newer fencing token than this piece's own writes and are merged already; only
        files with such writes are looked at. One over 8 MiB gets a finding; one that the working ref does not have, or
        that git cannot read there, does not. One that git cannot read in the merged tree counts as emptied. No
        `GitError` is raised.

        Args:
            working: The commit of the working ref.
            tree: The merged tree; None if the merge has conflicts, which are reported elsewhere: no findings then.
        """
        findings = []
        for path, by in self._fences.overtaken.items() if tree else ():
            composed = await self._read(f"{working}:{path}", if_large=_LARGE)
            merged = await self._read(f"{tree}:{path}", if_large=_LARGE)
            if composed is None:
                continue
            is_large = _LARGE in (composed, merged)
            if is_large or dropped_lines(composed, merged or b"", await self._seen(path)):
                findings.append(overtaken_finding(path, by))
        return findings

    async def _seen(self, path: str) -> list[bytes]:
        """Return the contents of a file that the piece's instances knew: at their start, before and after each write.

        Contents that git lacks, or that are larger than 8 MiB, are left out.
        """
        own = [await self._read_id(oid) for oid in _oids(self._fences.writes.get(path, ()))]
        started = [await self._read(f"{fork}:{path}") for fork in self._fences.forks]
        return [content for content in (*own, *started) if content is not None]

    async def _read_id(self, oid: str) -> bytes | None:
        """Return the content of a blob id that came from a client.

        None if it is no object id, is not that of a blob in the repository, or the content is larger than 8 MiB.
        """
        return await self._read(oid) if _OBJECT_ID.fullmatch(oid) else None

    async def _read(self, name: str, *, if_large: bytes | None = None) -> bytes | None:
        try:
            return await self._repository.read_blob(name, limit=_MAX_BYTES)
        except GitError as error:
            return if_large if error.code == "git.output" else None


def _oids(writes: Iterable[FencedWrite]) -> list[str]:
    """Return the ids of the contents before and after each write, in order, each once; unknown ones are left out."""
    return list(dict.fromkeys(oid for item in writes for oid in (item.base_oid, item.new_oid) if oid))
