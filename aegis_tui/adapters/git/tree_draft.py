"""A tree that is being changed in memory: folders are read when they are needed, and written once, at the end.

A folder that nothing changes keeps its id and is never read. Names are bytes, as git stores them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from aegis_tui.adapters.git.tree_object import (
    FOLDER,
    SUBMODULE,
    TreeEntries,
    TreeEntry,
    object_id,
    parse_tree,
    render_tree,
    with_header,
)

ABSENT = b""
"""The mode of what is not there."""


class Folder:
    """A folder of a tree; what is in it is read when it is needed, and may then be changed.

    Args:
        oid: The id of its tree; None for a new folder.
        entries: What is in it; None while that has not been read.
    """

    __slots__ = ("entries", "oid")

    def __init__(self, oid: str | None, entries: dict[bytes, Folder | TreeEntry] | None) -> None:
        self.oid = oid
        """Its id as it was read or written; None since it was changed."""
        self.entries = entries
        """Name -> a folder, or the entry of a file, link or submodule; None while that is not read."""


Node = Folder | TreeEntry | None


@dataclass(frozen=True, slots=True)
class TreeChange:
    """A path in which one tree differs from another. Folders are listed too, before what is in them."""

    path: tuple[bytes, ...]
    """The names of the folders from the top down to the one that holds it, and its own."""
    old_mode: bytes
    """As in `TreeEntry`; `ABSENT` if it was not there, and then `old_oid` is all zeros. So for the new ones."""
    new_mode: bytes
    old_oid: str
    new_oid: str

    @property
    def is_folder(self) -> bool:
        """Whether the change is one of a folder: of what is in it, or of its being there."""
        return FOLDER in (self.old_mode, self.new_mode)


def read_into(folders: Iterable[Folder], raw: bytes, oid_bytes: int) -> None:
    """Give folders their entries, as a tree object lists them; those of each can be changed for themselves.

    Args:
        folders: Folders with the same id.
        raw: The content of the tree object with this id.
        oid_bytes: The length of an object id in bytes: 20 or 32.

    Raises:
        GitError: It is damaged.
    """
    entries = parse_tree(raw, oid_bytes)
    for folder in folders:
        folder.entries = {
            name: Folder(entry.oid, None) if entry.mode == FOLDER else entry for name, entry in entries.items()
        }


def unread(root: Folder, paths: Iterable[tuple[bytes, ...]]) -> dict[str, list[Folder]]:
    """Return the folders on the way to paths that have to be read next, by their ids; empty if all are read.

    A folder whose copies are at several places is listed with all of them: they are changed apart.
    """
    wanted: dict[str, list[Folder]] = {}
    for path in paths:
        folder: Node = root
        for name in (*path, b""):
            if not isinstance(folder, Folder):
                break
            if folder.entries is None:
                wanted.setdefault(folder.oid or "", []).append(folder)
                break
            folder = folder.entries.get(name)
    return {oid: list(dict.fromkeys(folders)) for oid, folders in wanted.items()}


def find(root: Folder, path: tuple[bytes, ...]) -> Node:
    """Return what is at a path; None if there is nothing. The folders on the way have to be read."""
    node: Node = root
    for name in path:
        if not isinstance(node, Folder):
            return None
        node = (node.entries or {}).get(name)
    return node


def fits(root: Folder, changes: Iterable[TreeChange]) -> bool:
    """Return whether changes can be applied without merging a file.

    They can if everything that they replace or delete is as it was when they were made, what they add is not there, and
    no folder was or would be renamed under them: git moves what one side adds to a folder that the other side renamed.
    """
    return all(_fits(find(root, item.path), item) for item in changes)


def _fits(node: Node, change: TreeChange) -> bool:
    if change.old_mode == FOLDER:
        # A folder that goes as a whole may have been renamed: then nothing may have been added to it meanwhile.
        return _is_folder(node) and (change.new_mode == FOLDER or node.oid == change.old_oid)
    if change.old_mode == ABSENT:
        return node is None or (change.new_mode == FOLDER and _is_folder(node))
    return node == TreeEntry(change.old_mode, change.old_oid)


def _is_folder(node: Node) -> TypeGuard[Folder]:
    return isinstance(node, Folder)


def apply(root: Folder, changes: Iterable[TreeChange]) -> None:
    """Apply changes that fit. Folders that become empty go; those that are needed are created."""
    leaves = [item for item in changes if not item.is_folder]
    for item in leaves:
        if item.new_mode == ABSENT:
            _put(root, item.path, None)
    for item in leaves:
        if item.new_mode != ABSENT:
            _put(root, item.path, TreeEntry(item.new_mode, item.new_oid))


def _put(root: Folder, path: tuple[bytes, ...], leaf: TreeEntry | None) -> None:
    way = [root]
    for name in path[:-1]:
        entries = way[-1].entries
        assert entries is not None
        below = entries.get(name)
        if not isinstance(below, Folder):
            below = entries[name] = Folder(None, {})
        way.append(below)
    for folder in way:
        folder.oid = None
    entries = way[-1].entries
    assert entries is not None
    if leaf is not None:
        entries[path[-1]] = leaf
        return
    entries.pop(path[-1], None)
    for above, folder, name in reversed(list(zip(way, way[1:], path, strict=False))):
        if folder.entries:
            return
        assert above.entries is not None
        del above.entries[name]


def unwritten(root: Folder, oid_bytes: int) -> Iterator[tuple[str, TreeEntries]]:
    """Compute the id of every changed folder, and yield it with its entries, each folder before the one that holds it.

    The folders then count as written.

    Args:
        root: The tree.
        oid_bytes: The length of an object id in bytes: 20 or 32.
    """
    if root.oid is not None or root.entries is None:
        return
    for node in root.entries.values():
        if isinstance(node, Folder):
            yield from unwritten(node, oid_bytes)
    plain = {
        name: TreeEntry(FOLDER, node.oid or "") if isinstance(node, Folder) else node
        for name, node in root.entries.items()
    }
    root.oid = object_id(with_header("tree", render_tree(plain)), oid_bytes)
    yield root.oid, plain


def mktree_text(entries: Mapping[bytes, TreeEntry]) -> bytes:
    """Return the entries of one tree as `git mktree --batch -z` reads them, with the empty line that ends them."""
    kinds = {FOLDER: b"tree", SUBMODULE: b"commit"}
    lines = (
        b"%s %s %s\t%s\0" % (entry.mode, kinds.get(entry.mode, b"blob"), entry.oid.encode(), name)
        for name, entry in entries.items()
    )
    return b"".join(lines) + b"\0"
