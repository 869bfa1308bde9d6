"""Composes many pieces in one pass over the object store (GIT-5, PERF-21).

The changes of all parts are read by one `diff-tree`, the folders that they touch level by level, and the new folders
are written by one `mktree`. Only a part that changes what another one changed too goes through a merge of files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aegis_tui.adapters.git.compose import Composer
from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.structural_merge import REGULAR, Merge
from aegis_tui.adapters.git.tree_draft import (
    Folder,
    TreeChange,
    apply,
    fits,
    mktree_text,
    read_into,
    unread,
    unwritten,
)
from aegis_tui.adapters.git.tree_files import NewFile, tree_with
from aegis_tui.domain.merge.merged_file import MergedFile
from aegis_tui.domain.path.file_name import name_of, write_name
from aegis_tui.errors import GitError
from aegis_tui.ports.composition import Composition, PiecePart

MergeTwo = Callable[[str, str], Awaitable[Merge]]
"""Merges the second commit into the first and returns the tree; the ways to merge overlapping files meet here."""

_SCRATCH_MESSAGE = "composed so far\n"


@dataclass(slots=True)
class _Composed:
    """What became of parts that were applied in order."""

    tree: str
    """The id of the tree with all that could be applied."""
    refused: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """As in `Composition`, except that the tree may contain earlier parts of these names: `halves`."""
    halves: set[str] = field(default_factory=set)
    """Names that are refused although an earlier part of theirs is in the tree."""
    merged_files: int = 0
    """How many files were merged because more than one part had changed them."""
    files: dict[str, dict[str, MergedFile]] = field(default_factory=dict)
    """Name of a part -> path -> a file that was merged, with its label; of several parts, the last counts."""


class PieceComposer:
    """Applies the changes of many pieces to one tree in memory and writes it once. Implements `Composing`.

    Methods raise `GitError` if git fails, and `GitUnavailable` if it cannot be started.

    Args:
        runner: Runs git in the common folder.
        objects: Reads the repository.
        composer: Writes commits.
        merge: Merges a part whose files overlap with those of others.
    """

    def __init__(self, runner: GitRunner, objects: Objects, composer: Composer, merge: MergeTwo) -> None:
        self._runner, self._objects, self._composer, self._merge = runner, objects, composer, merge

    async def compose_all(self, onto: str, parts: Sequence[PiecePart]) -> Composition:
        """Apply the changes of parts, in order, to a commit; see `Composing.compose_all`.

        Raises:
            GitError: A commit does not exist, or git fails.
        """
        trees = await self._objects.trees_of([onto, *(oid for part in parts for oid in (part.base, part.head))])
        changes = await self._changes(list(zip(trees[1::2], trees[2::2], strict=True)))
        dropped: dict[str, tuple[str, ...]] = {}
        while True:
            chosen = [pair for pair in zip(parts, changes, strict=True) if pair[0].name not in dropped]
            composed = await self._in_order(trees[0], chosen)
            if not composed.halves:
                files = {name: tuple(listed.values()) for name, listed in composed.files.items()}
                return Composition(composed.tree, {**dropped, **composed.refused}, composed.merged_files, files)
            dropped |= {name: composed.refused[name] for name in composed.halves}

    async def _in_order(self, onto: str, parts: Sequence[tuple[PiecePart, Sequence[TreeChange]]]) -> _Composed:
        """Apply parts, with their changes, to a tree, in order; later parts of a name that is refused are skipped."""
        root = Folder(onto, None)
        await self._read(root, (item.path[:-1] for _, changes in parts for item in changes))
        done = _Composed(onto)
        taken: set[str] = set()
        for part, changes in parts:
            if part.name in done.refused:
                continue
            await self._read(root, (item.path[:-1] for item in changes))
            if fits(root, changes):
                apply(root, changes)
                taken.add(part.name)
                continue
            done.merged_files += 1
            merge = await self._merge_files(root, part)
            if merge.clean:
                root = Folder(merge.tree, None)
                taken.add(part.name)
                done.files.setdefault(part.name, {}).update({file.path: file for file in merge.files})
            else:
                done.refused[part.name] = tuple(sorted(merge.stages))
        done.tree = await self._write(root, len(onto))
        done.halves = taken.intersection(done.refused)
        return done

    async def merges(self, base: str, tip: str) -> list[PiecePart]:
        """Return the changes that were merged into a line of commits, oldest first; see `Composing.merges`.

        Raises:
            GitError: One of the two does not exist, or git fails.
        """
        options = ("--first-parent", "--parents", "--reverse", "--end-of-options")
        listed = await self._runner.run("rev-list", *options, f"{base}..{tip}")
        parts = []
        for line in listed.text.splitlines():
            _, before, *heads = line.split(" ")
            for head in heads:
                bases = await self._objects.merge_bases(before, head)
                parts += [PiecePart("", bases[0], head)] if bases else []
        return parts

    async def with_files(self, tree: str, files: Mapping[str, bytes]) -> str:
        """Return the id of a tree in which files have other contents; see `Composing.with_files`.

        Raises:
            GitError: There is no such tree, no regular file at one of the paths, or git fails.
        """
        options = ("--literal-pathspecs", "ls-tree", "-z", "--full-tree", tree, "--")
        listed = await self._runner.run(*options, *map(name_of, files))
        parted = (line.partition("\t") for line in listed.fields())
        modes = {write_name(name): about.split(" ")[0] for about, _, name in parted}
        if missing := [path for path in files if modes.get(path) not in REGULAR]:
            raise GitError(f"{missing[0]} is not a regular file in the tree {tree}")
        return await tree_with(self._runner, tree, {path: NewFile(modes[path], files[path]) for path in files})

    async def commit(self, tree: str, parents: Sequence[str], *, message: str, at: int) -> str:
        """Write a commit in the person's name and return its id; equal arguments give the same commit.

        Raises:
            Refused: git knows no name or no email address of the person.
            GitError: The tree or a parent does not exist, or git fails.
        """
        return await self._composer.commit(tree, parents, message, at)

    async def _changes(self, pairs: Sequence[tuple[str, str]]) -> list[list[TreeChange]]:
        """Return what turns the first tree of each pair into the second; `GitError` if git fails."""
        if not pairs:
            return []
        asked = "".join(f"{old} {new}\n" for old, new in pairs).encode()
        options = ("--stdin", "-r", "-t", "-z", "--raw", "--no-renames", "--no-abbrev", "--ignore-submodules=none")
        answer = await self._runner.run("diff-tree", *options, stdin=asked)
        changes = await asyncio.to_thread(parse_diffs, answer.stdout)
        if len(changes) != len(pairs):
            raise GitError("git diff-tree did not answer for every pair of trees", "look for damage: git fsck")
        return changes

    async def _read(self, root: Folder, folders: Iterable[tuple[bytes, ...]]) -> None:
        """Read the folders on the way to these and these themselves; `GitError` if one is missing or damaged."""
        paths = list(dict.fromkeys(folders))
        while wanted := unread(root, paths):
            contents = await self._objects.read_trees(wanted)
            for (oid, copies), content in zip(wanted.items(), contents, strict=True):
                read_into(copies, content, len(oid) // 2)

    async def _merge_files(self, root: Folder, part: PiecePart) -> Merge:
        """Merge a part, relative to its base, into what is composed so far."""
        tree = await self._write(root, len(part.base))
        ours = await self._composer.commit(tree, [part.base], _SCRATCH_MESSAGE, 0)
        return await self._merge(ours, part.head)

    async def _write(self, root: Folder, oid_digits: int) -> str:
        """Write all folders that were changed, and return the id of the tree; `GitError` if git fails."""
        fresh = dict(unwritten(root, oid_digits // 2))
        if fresh:
            asked = b"".join(map(mktree_text, fresh.values()))
            answer = await self._runner.run("mktree", "--batch", "--missing", "-z", stdin=asked)
            if answer.text.split() != list(fresh):
                raise GitError("git wrote other trees than were computed", "look for damage: git fsck")
        assert root.oid is not None
        return root.oid


def parse_diffs(raw: bytes) -> list[list[TreeChange]]:
    """Return the changes of each pair of trees from the output of `diff-tree --stdin --raw -r -t -z`.

    Source: git-diff-tree(1), RAW OUTPUT FORMAT. The line with the two trees stands before their changes.
    """
    changes: list[list[TreeChange]] = []
    at = 0
    while at < len(raw):
        if raw[at : at + 1] != b":":
            changes.append([])
            at = raw.index(b"\n", at) + 1
            continue
        middle = raw.index(b"\0", at)
        end = raw.index(b"\0", middle + 1)
        old_mode, new_mode, old_oid, new_oid, _ = raw[at + 1 : middle].split(b" ")
        path, modes = tuple(raw[middle + 1 : end].split(b"/")), (old_mode.lstrip(b"0"), new_mode.lstrip(b"0"))
        changes[-1].append(TreeChange(path, *modes, old_oid.decode("ascii"), new_oid.decode("ascii")))
        at = end + 1
    return changes
