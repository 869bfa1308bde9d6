"""Predicts what structure makes of files that git cannot merge, and finds migrations that exclude each other (GIT-2).

It is the merge that composition does later (`structural_merge`), so a file that will be merged is not called a conflict
now. Answers are kept by the ids of the blobs: a file is merged again only when one of its versions has changed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from aegis_tui.adapters.git.merge_process import MergeJob, MergeProcess
from aegis_tui.adapters.git.object_store import ObjectStore, SizedCache
from aegis_tui.adapters.git.structural_merge import MAX_FILE_BYTES, REGULAR, Merge, is_mergeable
from aegis_tui.adapters.git.tree_change import find_entry
from aegis_tui.domain.merge.file import FileMerge
from aegis_tui.domain.merge.merged_file import MergedFile
from aegis_tui.domain.merge.migrations import MigrationClash, is_migration
from aegis_tui.domain.merge.proof import Versions
from aegis_tui.domain.path.file_name import name_of, write_name
from aegis_tui.sdk.whole import whole_in_thread

_MOST_FILES: Final = 200
"""More files of one comparison are left as git merged them."""
_MOST_MIGRATIONS: Final = 200
_KEPT: Final = 2000
_UNKNOWN: Final = FileMerge("refused", reason="")
_UNCHECKED: Final = FileMerge("unproven", "", "text")

Blobs = tuple[str | None, str, str]
"""The ids of the blobs of base, ours and theirs; there may be none in the base."""
FileKey = tuple[str, Blobs, str | None]
"""A path, the blobs of its versions, and the blob of what git made of them; None if that has conflicts."""
Side = Mapping[str, str]
"""The new migrations of a side: path -> blob id."""


class LiveStructure:
    """Merges files and compares migrations. Its methods raise `GitError` if git fails to read.

    Args:
        store: Has the blobs.
        process: Merges.
    """

    def __init__(self, store: ObjectStore, process: MergeProcess) -> None:
        self._store, self._process = store, process
        self._merged: SizedCache[FileMerge] = SizedCache(_KEPT)
        self._clashes: SizedCache[list[MigrationClash]] = SizedCache(_KEPT)
        self._unjudged: dict[FileKey, None] = {}

    async def merge(self, merges: Iterable[Merge]) -> None:
        """Find out what structure makes of the conflicts in these merges; `made` then answers."""
        keys = dict.fromkeys(key for merge in merges for key in _keys(merge) if self._merged.get(key) is None)
        if keys:
            await self._learn(list(keys)[:_MOST_FILES])

    async def _learn(self, keys: Sequence[FileKey]) -> list[FileMerge]:
        jobs = await whole_in_thread(lambda: {key: self._job(key) for key in keys})
        asked = {key: job for key, job in jobs.items() if job is not None}
        answers = await self._process.merge(list(asked.values()))
        made = dict(zip(asked, answers, strict=True))
        return [self._merged.put(key, made.get(key) or _unknown(key), 1) for key in keys]

    def _job(self, key: FileKey) -> MergeJob | None:
        path, oids, result = key
        base, ours, theirs = (self._text(oid) if oid is not None else "" for oid in oids)
        textual = self._text(result) if result is not None else None
        if base is None or ours is None or theirs is None or (textual is None and result is not None):
            return None
        return MergeJob(path, Versions(base, ours, theirs), textual)

    def _text(self, oid: str) -> str | None:
        stored = self._store.read(oid, limit=MAX_FILE_BYTES)
        try:
            return stored[1].decode() if stored is not None and stored[0] == "blob" else None
        except UnicodeDecodeError:
            return None

    def made(self, merge: Merge) -> dict[str, FileMerge]:
        """Return path -> what structure makes of the conflicts in a merge, which `merge` was asked about; blocking.

        Nothing is solved in a merge that has other conflicts than those within files.
        """
        made = {key[0]: self._merged.get(key) or _unknown(key) for key in _keys(merge)}
        return {path: file for path, file in made.items() if file.text is None or self._is_file(merge.tree, path)}

    def verdict(self, path: str, trees: tuple[str, str, str, str]) -> FileMerge | None:
        """Return what the check says of a file that git merged without conflict; blocking.

        None if it is not known yet, which `judge` changes, or if no rule knows this kind of file.

        Args:
            path: The file.
            trees: The ids of the trees of base, ours and theirs, and of the merged tree.
        """
        if not is_mergeable(path):
            return None
        name = os.fsencode(name_of(path))
        entries = [find_entry(self._store, tree, name) for tree in trees]
        base, mine, other, merged = entries
        if mine is None or other is None or merged is None or mine.oid == other.oid:
            return None
        if any(entry is not None and entry.mode.decode("ascii") not in REGULAR for entry in entries):
            return None
        key = path, (base.oid if base is not None else None, mine.oid, other.oid), merged.oid
        if (known := self._merged.get(key)) is None and len(self._unjudged) < _MOST_FILES:
            self._unjudged[key] = None
        return known

    async def judge(self) -> bool:
        """Check the files for which `verdict` had no answer; return whether one of them is refused."""
        keys, self._unjudged = list(self._unjudged), {}
        return any(file.label == "refused" for file in await self._learn(keys)) if keys else False

    def _is_file(self, tree: str, path: str) -> bool:
        entry = find_entry(self._store, tree, os.fsencode(name_of(path)))
        return entry is not None and entry.mode.decode("ascii") in REGULAR

    def new_migrations(self, base_tree: str, tree: str, changed: Collection[bytes]) -> Side:
        """Return the migrations among changed files that a tree has and the tree of the base has not; blocking."""
        fresh: dict[str, str] = {}
        for name in changed:
            if (b"/migrations/" not in name and b"/versions/" not in name) or not name.endswith(b".py"):
                continue
            path = write_name(os.fsdecode(name))
            entry = find_entry(self._store, tree, name) if is_migration(path) else None
            if entry is not None and find_entry(self._store, base_tree, name) is None and len(fresh) < _MOST_MIGRATIONS:
                fresh[path] = entry.oid
        return fresh

    async def clashes(self, ours: Side, theirs: Side) -> list[MigrationClash]:
        """Return the new migrations of two sides that exclude each other; empty if they cannot be compared."""
        if not ours or not theirs:
            return []
        key = tuple(tuple(sorted(side.items())) for side in (ours, theirs))
        if (known := self._clashes.get(key)) is not None:
            return known
        mine, others = await whole_in_thread(lambda: [self._texts(side) for side in (ours, theirs)])
        return self._clashes.put(key, await self._process.clashes(mine, others) or [], 1)

    def _texts(self, side: Side) -> dict[str, str]:
        return {path: text for path, oid in side.items() if (text := self._text(oid)) is not None}


def _unknown(key: FileKey) -> FileMerge:
    """Return the answer for a file that could not be read or merged: what git made of it stays."""
    return _UNKNOWN if key[2] is None else _UNCHECKED


def _keys(merge: Merge) -> Iterator[FileKey]:
    """Yield the files in conflict of which structure may know more; none if some conflict is not within a file."""
    if all(2 in blobs and 3 in blobs for blobs in merge.stages.values()):
        for path, blobs in merge.stages.items():
            if is_mergeable(path):
                yield path, (blobs.get(1), blobs[2], blobs[3]), None


def labelled(made: Mapping[str, FileMerge]) -> tuple[MergedFile, ...]:
    """Return the files that structure merges, with their labels, sorted by path."""
    return tuple(
        MergedFile(path=path, label=file.label, strategy=file.strategy, reason=file.reason)
        for path, file in sorted(made.items())
        if file.text is not None
    )
