"""Predicts how pairs of commits would merge, in the hub's own repository (GIT-2).

One git process merges many pairs. Those that change no file in common are answered without it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aegis_tui.adapters.git.live_structure import Generated, LiveStructure, Side, labelled
from aegis_tui.adapters.git.object_store import NO_SETTINGS, ObjectStore, SizedCache
from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.predict import conflict_hunks, cut_text, read_stages
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.structural_merge import LINGUIST, Merge, read_generated
from aegis_tui.adapters.git.tree_change import TreeDifference, compare_trees, find_entry
from aegis_tui.adapters.git.worktree_reading import is_text
from aegis_tui.domain.merge.file import FileMerge
from aegis_tui.domain.merge.lock_file import is_lock_file, regenerating
from aegis_tui.domain.merge.migrations import MigrationClash, words_of
from aegis_tui.domain.path.file_name import name_of, write_name
from aegis_tui.errors import GitError
from aegis_tui.ports.merge import FileConflict, MergePreview
from aegis_tui.sdk.whole import whole_in_thread

MOST_PATHS = 100
"""How many conflicts of one pair are returned at most, and how many other paths that both change."""

_ATTRIBUTES = b".gitattributes"
_MAX_ATTRIBUTES_BYTES = 1 << 20
_MAX_MERGED_BYTES = 16 << 20
_MAX_OUTPUT_BYTES = 32 << 20
_MERGE_DEADLINE_S = 20.0
_LONGEST_CHAIN = 200
_KEPT_PATHS = 500_000
_MOST_ASKED = 1000
"""Of how many files of a pair git is asked whether they are generated."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two commits, and what is known about their merge without git."""

    ours: str
    theirs: str
    base_tree: str
    """The id of the tree of their merge base."""
    both: frozenset[bytes]
    """The paths that both sides change since their merge base, whether or not at the same place."""
    inherited: frozenset[bytes]
    """The paths that a side has only from merged work, and has not changed itself."""
    migrations: tuple[Side, Side]
    """The migrations that each side adds."""
    must_merge: bool
    """Whether git has to be asked what the merge gives; if not, it is the sum of both changes."""


class LiveMerges:
    """Compares commits. Methods raise `GitError` if git fails, and `GitUnavailable` if it cannot be started.

    Args:
        store: Has the commits.
        runner: Runs git in the repository of `store`.
        objects: Reads the person's repository.
        structure: Merges files that git cannot merge by lines.
    """

    def __init__(self, store: ObjectStore, runner: GitRunner, objects: Objects, structure: LiveStructure) -> None:
        self._store, self._runner, self._objects, self._structure = store, runner, objects, structure
        self._changes: SizedCache[TreeDifference] = SizedCache(_KEPT_PATHS)

    async def compare(self, pairs: Sequence[tuple[str, str]], merged: str | None) -> list[MergePreview | None]:
        """Return what merging each pair would give, in the same order; None for a pair that cannot be compared.

        A result has no merged tree, and at most 100 conflicts and 100 other paths that both change, the first by name.
        What a side holds only because it is based on merged work is not counted as changed by it.

        Args:
            pairs: The commits to compare.
            merged: The commit with all that is merged; None if nothing is.
        """
        forks = [(oid, merged) for oid in dict.fromkeys(oid for pair in pairs for oid in pair) if merged is not None]
        bases = await self._find_bases([*pairs, *forks])
        known = await whole_in_thread(lambda: [self._look_at(*pair, bases, merged) for pair in pairs])
        results = await self._merge([pair for pair in known if pair is not None and pair.must_merge])
        generated = {(pair.ours, pair.theirs): await self._generated(pair) for pair in known if pair is not None}
        await self._structure.merge((merge, generated[oids]) for oids, merge in results.items() if not merge.clean)
        clashes = [await self._structure.clashes(*pair.migrations) if pair is not None else [] for pair in known]
        return await whole_in_thread(
            lambda: [
                None if pair is None else self._preview(pair, results, generated[pair.ours, pair.theirs], excluding)
                for pair, excluding in zip(known, clashes, strict=True)
            ]
        )

    async def judge(self) -> bool:
        """Check the files that git merged without conflict; return whether one of them is a conflict after all."""
        return await self._structure.judge()

    async def _find_bases(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Return the merge base of each pair; a pair that has none, or of which a commit is missing, is left out."""
        bases = await whole_in_thread(lambda: {pair: self._linear_base(*pair) for pair in pairs})
        for pair in [pair for pair, base in bases.items() if base is None]:
            bases[pair] = await self._base_by_git(*pair)
        return {pair: base for pair, base in bases.items() if base is not None}

    def _linear_base(self, ours: str, theirs: str) -> str | None:
        """Return the only best common ancestor, if neither side has a merge commit above it; else None."""
        line = set(self._line(ours))
        return next((oid for oid in self._line(theirs) if oid in line), None)

    def _line(self, oid: str) -> Iterator[str]:
        """Yield a commit and its ancestors, as far as each has one parent and is there."""
        for _ in range(_LONGEST_CHAIN):
            yield oid
            try:
                parents = self._store.commit(oid).parents
            except GitError:
                return
            if len(parents) != 1:
                return
            (oid,) = parents

    async def _base_by_git(self, ours: str, theirs: str) -> str | None:
        """Return the merge base that git prefers; None if there is none, or a commit is not there."""
        mine, other = (self._store.snapshots.get(oid, oid) for oid in (ours, theirs))
        try:
            bases = await self._objects.merge_bases(mine, other)
        except GitError:
            return None
        return bases[0] if bases else None

    def _look_at(
        self, ours: str, theirs: str, bases: Mapping[tuple[str, str], str], merged: str | None
    ) -> _Pair | None:
        """Return what is known about a pair without git; None if it cannot be compared.

        Args:
            ours: A commit.
            theirs: Another.
            bases: The merge base of the two, and of each with what is merged.
            merged: The commit with all that is merged; None if nothing is.
        """
        base = bases.get((ours, theirs))
        if base is None:
            return None
        try:
            base_tree = self._store.commit(base).tree
            mine, other = (self._changed(base_tree, self._store.commit(oid).tree) for oid in (ours, theirs))
            inherited = frozenset[bytes]()
            for oid in (ours, theirs):
                fork = bases.get((oid, merged)) if merged is not None and merged not in (ours, theirs) else None
                if fork is not None and fork != base:
                    fork_tree, tree = self._store.commit(fork).tree, self._store.commit(oid).tree
                    own = self._changed(fork_tree, tree).paths
                    inherited |= self._changed(base_tree, fork_tree).paths - own
            migrations = (
                self._structure.new_migrations(base_tree, self._store.commit(ours).tree, mine.paths - inherited),
                self._structure.new_migrations(base_tree, self._store.commit(theirs).tree, other.paths - inherited),
            )
        except GitError:
            return None
        both = mine.paths & other.paths
        return _Pair(ours, theirs, base_tree, both, inherited, migrations, _may_cross(mine, other))

    def _changed(self, base_tree: str, tree: str) -> TreeDifference:
        if (known := self._changes.get((base_tree, tree))) is not None:
            return known
        changed = compare_trees(self._store, base_tree, tree)
        return self._changes.put((base_tree, tree), changed, 1 + len(changed.paths))

    async def _merge(self, pairs: Sequence[_Pair]) -> dict[tuple[str, str], Merge]:
        """Merge the pairs and return the results; a pair that git cannot merge is left out."""
        merged: dict[tuple[str, str], Merge] = {}
        for folder, same in (await whole_in_thread(self._by_attributes, pairs)).items():
            await self._merge_in(folder, same, merged)
        return merged

    def _by_attributes(self, pairs: Sequence[_Pair]) -> dict[Path, list[_Pair]]:
        """Return the pairs by the folder with the attributes of their base; blocking."""
        pairs_by_folder: dict[Path, list[_Pair]] = {}
        for pair in pairs:
            entry = find_entry(self._store, pair.base_tree, _ATTRIBUTES)
            folder = self._attributes_folder(entry.oid if entry is not None else "")
            pairs_by_folder.setdefault(folder, []).append(pair)
        return pairs_by_folder

    def _attributes_folder(self, oid: str) -> Path:
        """Return a folder with nothing but this blob as `.gitattributes`, for git to read; with nothing for no blob.

        With them, only ways to merge that are part of git can be chosen: no driver is configured there.
        """
        folder = self._store.folder / f"attributes-{oid}"
        if not folder.is_dir():
            folder.mkdir()
            if oid and (stored := self._store.read(oid, limit=_MAX_ATTRIBUTES_BYTES)):
                (folder / os.fsdecode(_ATTRIBUTES)).write_bytes(stored[1])
        return folder

    async def _generated(self, pair: _Pair) -> dict[str, bool]:
        """Return of which files that both sides change the `.gitattributes` of their base says if they are generated.

        Empty if git fails: the files then count as written by hand, as far as no comment in them says otherwise.
        """
        if not pair.both:
            return {}
        folder = await whole_in_thread(self._attributes_of, pair)
        paths = [os.fsdecode(name) for name in sorted(pair.both)[:_MOST_ASKED]]
        try:
            return await read_generated(self._runner, folder, paths) if folder is not None else {}
        except GitError:
            return {}

    def _attributes_of(self, pair: _Pair) -> Path | None:
        """Return the folder with the attributes of a pair; None if they do not speak of generated files; blocking."""
        entry = find_entry(self._store, pair.base_tree, _ATTRIBUTES)
        stored = self._store.read(entry.oid, limit=_MAX_ATTRIBUTES_BYTES) if entry is not None else None
        if entry is None or stored is None or LINGUIST not in stored[1]:
            return None
        return self._attributes_folder(entry.oid)

    async def _merge_in(self, folder: Path, pairs: Sequence[_Pair], merged: dict[tuple[str, str], Merge]) -> None:
        """Merge the pairs with the attributes in a folder, and add the results to `merged`.

        If git fails, each half of the pairs is tried for itself, so that one pair does not prevent the others.
        """
        asked = "".join(f"{pair.ours} {pair.theirs}\n" for pair in pairs)
        try:
            answer = await self._runner.run(
                *("merge-tree", "--write-tree", "--stdin", "--no-messages"),
                work_tree=folder,
                env=NO_SETTINGS,
                stdin=asked.encode("ascii"),
                deadline_s=_MERGE_DEADLINE_S,
                output_bytes=_MAX_OUTPUT_BYTES,
            )
            results = list(read_merges(answer.fields()))
            if len(results) != len(pairs):
                raise GitError(f"git merged {len(results)} of {len(pairs)} pairs")
        except GitError:
            middle = len(pairs) // 2
            for half in (pairs[:middle], pairs[middle:]) if middle else ():
                await self._merge_in(folder, half, merged)
            return
        merged |= {(pair.ours, pair.theirs): result for pair, result in zip(pairs, results, strict=True)}

    def _preview(
        self,
        pair: _Pair,
        results: Mapping[tuple[str, str], Merge],
        generated: Generated,
        clashes: Sequence[MigrationClash],
    ) -> MergePreview | None:
        merge = results.get((pair.ours, pair.theirs))
        excluding = [_excluding(clash, pair.migrations[1]) for clash in clashes[:MOST_PATHS]]
        if merge is None:
            paths = tuple(sorted(conflict.path for conflict in excluding))
            return None if pair.must_merge else MergePreview(not excluding, None, paths, tuple(excluding))
        inherited, made = _written(pair.inherited), self._structure.made(merge, generated)
        both = _written(pair.both) - inherited
        solved = {path for path, file in made.items() if file.text is not None}
        locks = {path for path in both - merge.stages.keys() if is_lock_file(path) and self._differs(pair, path)}
        hot = sorted({*merge.stages.keys() - inherited - solved, *locks})[:MOST_PATHS]
        soft = sorted((both - merge.stages.keys() - locks) | (solved - inherited))[:MOST_PATHS]
        judged = self._judged(pair, merge, [path for path in soft if path not in solved], generated)
        wrong = [path for path, file in judged.items() if file.label == "refused"]
        listed = sorted([*hot, *wrong])[:MOST_PATHS]
        made |= judged
        conflicts = (*(self._conflict(pair, merge, path, made.get(path)) for path in listed), *excluding)
        paths = tuple(sorted({*soft, *(conflict.path for conflict in conflicts)}))
        return MergePreview(not conflicts, None, paths, conflicts, labelled(made))

    def _judged(self, pair: _Pair, merge: Merge, paths: Sequence[str], generated: Generated) -> dict[str, FileMerge]:
        ours, theirs = (self._store.commit(oid).tree for oid in (pair.ours, pair.theirs))
        trees = pair.base_tree, ours, theirs, merge.tree
        verdicts = ((path, self._structure.verdict(path, trees, generated)) for path in paths)
        return {path: file for path, file in verdicts if file is not None}

    def _differs(self, pair: _Pair, path: str) -> bool:
        blobs = self._blobs(pair, path)
        return 2 in blobs and 3 in blobs and blobs[2] != blobs[3]

    def _blobs(self, pair: _Pair, path: str) -> dict[int, str]:
        """Return the blob ids of base (1), ours (2) and theirs (3) at a path, as git numbers them in a conflict."""
        trees = pair.base_tree, *(self._store.commit(oid).tree for oid in (pair.ours, pair.theirs))
        entries = (find_entry(self._store, tree, os.fsencode(name_of(path))) for tree in trees)
        return {stage: entry.oid for stage, entry in enumerate(entries, 1) if entry is not None}

    def _conflict(self, pair: _Pair, merge: Merge, path: str, made: FileMerge | None) -> FileConflict:
        blobs = merge.stages.get(path) or self._blobs(pair, path)
        reason = made.reason if made is not None else ""
        hunks = self._hunks(merge.tree, path) if path in merge.stages and 2 in blobs and 3 in blobs else []
        if is_lock_file(path):
            reason = regenerating(path)
        if not hunks and path not in merge.stages:
            hunks = [reason]
        text = cut_text("\n".join(hunks))
        return FileConflict(path, blobs.get(1), blobs.get(2), blobs.get(3), len(hunks), text, reason=reason)

    def _hunks(self, tree: str, path: str) -> list[str]:
        entry = find_entry(self._store, tree, os.fsencode(name_of(path)))
        merged = self._store.read(entry.oid, limit=_MAX_MERGED_BYTES) if entry is not None else None
        if merged is None or not is_text(merged[1]):
            return []
        return conflict_hunks(merged[1].decode("utf-8", "replace"))


def _excluding(clash: MigrationClash, theirs: Side) -> FileConflict:
    """Return the conflict of a migration of theirs with one of ours."""
    reason = words_of(clash)
    return FileConflict(clash.theirs, None, None, theirs[clash.theirs], 1, reason, reason=reason)


def _written(paths: frozenset[bytes]) -> frozenset[str]:
    return frozenset(write_name(os.fsdecode(path)) for path in paths)


def _may_cross(mine: TreeDifference, other: TreeDifference) -> bool:
    """Return whether a merge of two sides can be anything but the sum of their changes.

    It can if both change one file, if one has a file where the other has a folder, or if a file was removed: it may
    have been renamed, and git then renames what the other side changed or added there.
    """
    if not mine.paths or not other.paths:
        return False
    if mine.has_removed or other.has_removed or not mine.paths.isdisjoint(other.paths):
        return True
    return any(_has_above(one.paths, another.paths) for one, another in ((mine, other), (other, mine)))


def _has_above(paths: frozenset[bytes], files: frozenset[bytes]) -> bool:
    """Return whether one of `files` is the folder of one of `paths`, at any depth."""
    for path in paths:
        at = path.find(b"/")
        while at >= 0:
            if path[:at] in files:
                return True
            at = path.find(b"/", at + 1)
    return False


def read_merges(fields: Sequence[str]) -> Iterator[Merge]:
    """Yield the merges in the output of `git merge-tree --stdin --no-messages`; one that is cut off is left out.

    Each is a status (1 if it is clean), a tree and the stages of conflicting paths, and ends with an empty field.

    Source: git-merge-tree(1), OUTPUT.
    """
    at = 0
    while at + 1 < len(fields):
        try:
            end = fields.index("", at + 2)
        except ValueError:
            return
        yield Merge(fields[at + 1], fields[at] == "1", read_stages(fields[at + 2 : end]))
        at = end + 1
