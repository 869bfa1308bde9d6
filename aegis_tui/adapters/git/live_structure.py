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
from aegis_tui.domain.merge.generated import generator_of
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
FileKey = tuple[str, Blobs, str | None, bool | None]
"""A path, the blobs of its versions, the blob of what git made of them (None if that has conflicts), and whether the
repository says that the file is generated (None if it does not say so)."""
Generated = Mapping[str, bool]
"""The paths of which the repository says whether a program generates them."""
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
        self._says_generated: SizedCache[bool] = SizedCache(_KEPT)

    async def merge(self, merges: Iterable[tuple[Merge, Generated]]) -> None:
        """Find out what structure makes of the conflicts in these merges; `made` then answers."""
        asked = list(merges)
        keys = await whole_in_thread(lambda: self._unknown_keys(asked)) if asked else {}
        if keys:
            await self._learn(list(keys)[:_MOST_FILES])

    def _unknown_keys(self, merges: Iterable[tuple[Merge, Generated]]) -> dict[FileKey, None]:
        keys = (key for merge, generated in merges for key in self._keys(merge, generated))
        return dict.fromkeys(key for key in keys if self._merged.get(key) is None)

    def _keys(self, merge: Merge, generated: Generated) -> Iterator[FileKey]:
        """Yield the files in conflict of which a rule may know more; none if some conflict is not within a file."""
        if all(2 in blobs and 3 in blobs for blobs in merge.stages.values()):
            for path, blobs in merge.stages.items():
                if self._has_rule(path, (blobs[2], blobs[3]), generated):
                    yield path, (blobs.get(1), blobs[2], blobs[3]), None, generated.get(path)

    def _has_rule(self, path: str, sides: Iterable[str], generated: Generated) -> bool:
        """Whether a rule merges or refuses a file: because of its name, or because a program generates it."""
        return is_mergeable(path) or generated.get(path) or any(map(self._is_generated, sides))

    def _is_generated(self, oid: str) -> bool:
        """Whether a comment in a blob says that a program generates it."""
        if (known := self._says_generated.get(oid)) is not None:
            return known
        text = self._text(oid)
        return self._says_generated.put(oid, text is not None and generator_of(text) is not None, 1)

    async def _learn(self, keys: Sequence[FileKey]) -> list[FileMerge]:
        jobs = await whole_in_thread(lambda: {key: self._job(key) for key in keys})
        asked = {key: job for key, job in jobs.items() if job is not None}
        answers = await self._process.merge(list(asked.values()))
        made = dict(zip(asked, answers, strict=True))
        return [self._merged.put(key, made.get(key) or _unknown(key), 1) for key in keys]

    def _job(self, key: FileKey) -> MergeJob | None:
        path, oids, result, is_generated = key
        base, ours, theirs = (self._text(oid) if oid is not None else "" for oid in oids)
        textual = self._text(result) if result is not None else None
        if base is None or ours is None or theirs is None or (textual is None and result is not None):
            return None
        return MergeJob(path, Versions(base, ours, theirs), textual, is_generated)

    def _text(self, oid: str) -> str | None:
        stored = self._store.read(oid, limit=MAX_FILE_BYTES)
        try:
            return stored[1].decode() if stored is not None and stored[0] == "blob" else None
        except UnicodeDecodeError:
            return None

    def made(self, merge: Merge, generated: Generated) -> dict[str, FileMerge]:
        """Return path -> what structure makes of the conflicts in a merge, which `merge` was asked about; blocking.

        Nothing is solved in a merge that has other conflicts than those within files.
        """
        made = {key[0]: self._merged.get(key) or _unknown(key) for key in self._keys(merge, generated)}
        return {path: file for path, file in made.items() if file.text is None or self._is_file(merge.tree, path)}

    def verdict(self, path: str, trees: tuple[str, str, str, str], generated: Generated) -> FileMerge | None:
        """Return what the check says of a file that git merged without conflict; blocking.

        None if it is not known yet, which `judge` changes, or if no rule knows this kind of file.

        Args:
            path: The file.
            trees: The ids of the trees of base, ours and theirs, and of the merged tree.
            generated: What the repository says of generated files.
        """
        name = os.fsencode(name_of(path))
        entries = [find_entry(self._store, tree, name) for tree in trees]
        base, mine, other, merged = entries
        if mine is None or other is None or merged is None or mine.oid == other.oid:
            return None
        if any(entry is not None and entry.mode.decode("ascii") not in REGULAR for entry in entries):
            return None
        if not self._has_rule(path, (mine.oid, other.oid), generated):
            return None
        key = path, (base.oid if base is not None else None, mine.oid, other.oid), merged.oid, generated.get(path)
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


def labelled(made: Mapping[str, FileMerge]) -> tuple[MergedFile, ...]:
    """Return the files that structure merges, with their labels, sorted by path."""
    return tuple(
        MergedFile(path=path, label=file.label, strategy=file.strategy, reason=file.reason)
        for path, file in sorted(made.items())
        if file.text is not None
    )
