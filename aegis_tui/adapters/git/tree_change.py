"""Changes trees, and compares them, with the work that the changed part needs, however large the tree is. Blocking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from aegis_tui.adapters.git.object_store import ObjectStore
from aegis_tui.adapters.git.tree_object import FOLDER, TreeEntry
from aegis_tui.errors import GitError

MAX_CHANGED = 50_000
"""The limit for the paths in which two trees that are compared may differ."""


class TreeDifference(NamedTuple):
    """The paths in which one tree differs from another, as bytes."""

    paths: frozenset[bytes]
    has_removed: bool
    """Whether a file of the first is missing in the second."""


def with_changes(store: ObjectStore, tree: str | None, changes: Mapping[bytes, TreeEntry | None]) -> str | None:
    """Store the tree that another one becomes when files are replaced, added and removed, and return its id.

    A file at the place of a folder replaces it, and the other way round. To remove what is not there, or a path that is
    now a folder, changes nothing. Folders without files vanish.

    Args:
        store: Has the tree.
        tree: The tree; None for an empty one.
        changes: Path -> the new file; None to remove it. The parts of the paths must be valid names in a tree.

    Returns:
        The id; None if no file is left.

    Raises:
        GitError: A tree is missing.
        OSError: A tree cannot be written.
    """
    before = store.tree(tree) if tree is not None else {}
    entries = dict(before)
    files: dict[bytes, TreeEntry | None] = {}
    below: dict[bytes, dict[bytes, TreeEntry | None]] = {}
    for path, entry in changes.items():
        name, slash, rest = path.partition(b"/")
        if slash:
            below.setdefault(name, {})[rest] = entry
        else:
            files[name] = entry
    for name, inner in below.items():
        there = entries.get(name)
        is_folder = there is not None and there.mode == FOLDER
        made = with_changes(store, there.oid if there is not None and is_folder else None, inner)
        if made is not None:
            entries[name] = TreeEntry(FOLDER, made)
        elif is_folder:
            del entries[name]
    for name, entry in files.items():
        there = entries.get(name)
        if entry is not None:
            entries[name] = entry
        elif there is not None and there.mode != FOLDER:
            del entries[name]
    if entries == before:
        return tree
    return store.write_tree(entries) if entries else None


def compare_trees(store: ObjectStore, before: str | None, after: str | None) -> TreeDifference:
    """Return the paths in which two trees differ; None is an empty tree.

    Raises:
        GitError: A tree is missing, or they differ in more than `MAX_CHANGED` paths.
    """
    paths: set[bytes] = set()
    has_removed = False
    for path, is_removed in _differences(store, before, after, b""):
        paths.add(path)
        has_removed |= is_removed
        if len(paths) > MAX_CHANGED:
            raise GitError("two trees differ in too many files to be compared")
    return TreeDifference(frozenset(paths), has_removed)


def _differences(
    store: ObjectStore, before: str | None, after: str | None, above: bytes
) -> Iterator[tuple[bytes, bool]]:
    """Yield each path that differs, and whether the file was removed."""
    if before == after:
        return
    old, new = (store.tree(tree) if tree is not None else {} for tree in (before, after))
    for name in old.keys() | new.keys():
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        path = above + name
        old_folder, new_folder = (entry.oid if entry and entry.mode == FOLDER else None for entry in (was, now))
        if old_folder or new_folder:
            yield from _differences(store, old_folder, new_folder, path + b"/")
        was_file, is_file = (entry is not None and entry.mode != FOLDER for entry in (was, now))
        if was_file or is_file:
            yield path, was_file and not is_file


def find_entry(store: ObjectStore, tree: str | None, path: bytes) -> TreeEntry | None:
    """Return the entry at a path; None if there is none.

    Raises:
        GitError: A tree is missing.
    """
    *folders, name = path.split(b"/")
    for folder in folders:
        entry = store.tree(tree).get(folder) if tree is not None else None
        if entry is None or entry.mode != FOLDER:
            return None
        tree = entry.oid
    return store.tree(tree).get(name) if tree is not None else None
