"""A tree that is being changed in memory: folders are read when they are needed, and written once, at the end.

A folder that nothing changes keeps its id and is never read. Names are bytes, as git stores them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeGuard

FOLDER_MODE = "040000"
ABSENT_MODE = "000000"
_SUBMODULE_MODE = "160000"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A file, a link or a submodule."""

    mode: str
    """Six octal digits."""
    oid: str


class Folder:
    """A folder of a tree.

    Args:
        oid: Its id; None for a new, empty folder.
        entries: What is in it; None while that has not been read.
    """

    __slots__ = ("entries", "oid")

    def __init__(self, oid: str | None, entries: dict[bytes, Folder | Leaf] | None) -> None:
        self.oid = oid
        """Its id as it was read or written; None since it was changed."""
        self.entries = entries
        """Name -> what is in the folder; None while it is not read."""


Node = Folder | Leaf | None


@dataclass(frozen=True, slots=True)
class TreeChange:
    """A path that a part changes. Folders are listed too, before what is in them."""

    path: tuple[bytes, ...]
    old_mode: str
    """`ABSENT_MODE` if it was not there; so for `new_mode`."""
    new_mode: str
    old_oid: str
    new_oid: str

    @property
    def is_folder(self) -> bool:
        """Whether the change is one of a folder: of what is in it, or of its being there."""
        return FOLDER_MODE in (self.old_mode, self.new_mode)


def entries_of(raw: bytes, id_bytes: int) -> dict[bytes, Folder | Leaf]:
    """Return the entries of a tree object, name -> folder that is not read or leaf.

    Args:
        raw: Its content.
        id_bytes: The length of an object id in bytes: 20 or 32.

    Raises:
        ValueError: It is no tree.
    """
    entries: dict[bytes, Folder | Leaf] = {}
    at = 0
    while at < len(raw):
        space = raw.index(b" ", at)
        nul = raw.index(b"\0", space)
        mode = raw[at:space].decode("ascii").zfill(6)
        oid = raw[nul + 1 : nul + 1 + id_bytes].hex()
        entries[raw[space + 1 : nul]] = Folder(oid, None) if mode == FOLDER_MODE else Leaf(mode, oid)
        at = nul + 1 + id_bytes
    return entries


def unread(root: Folder, paths: Iterable[tuple[bytes, ...]]) -> dict[str, list[Folder]]:
    """Return the folders on the way to paths that have to be read next, by their ids; empty if all are read."""
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
    if change.old_mode == FOLDER_MODE:
        # A folder that goes as a whole may have been renamed: then nothing may have been added to it meanwhile.
        return _is_folder(node) and (change.new_mode == FOLDER_MODE or node.oid == change.old_oid)
    if change.old_mode == ABSENT_MODE:
        return node is None or (change.new_mode == FOLDER_MODE and _is_folder(node))
    return node == Leaf(change.old_mode, change.old_oid)


def _is_folder(node: Node) -> TypeGuard[Folder]:
    return isinstance(node, Folder)


def apply(root: Folder, changes: Iterable[TreeChange]) -> None:
    """Apply changes that fit. Folders that become empty go; those that are needed are created."""
    leaves = [item for item in changes if not item.is_folder]
    for item in leaves:
        if item.new_mode == ABSENT_MODE:
            _put(root, item.path, None)
    for item in leaves:
        if item.new_mode != ABSENT_MODE:
            _put(root, item.path, Leaf(item.new_mode, item.new_oid))


def _put(root: Folder, path: tuple[bytes, ...], leaf: Leaf | None) -> None:
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


def unwritten(root: Folder, algorithm: str) -> Iterator[tuple[str, Mapping[bytes, Leaf]]]:
    """Compute the id of every changed folder, and yield it with its entries, each folder before the one that holds it.

    The folders then count as written.

    Args:
        root: The tree.
        algorithm: The name of the hash that gives object ids: `sha1` or `sha256`.
    """
    if root.oid is not None or root.entries is None:
        return
    for node in root.entries.values():
        if isinstance(node, Folder):
            yield from unwritten(node, algorithm)
    plain = {
        name: Leaf(FOLDER_MODE, node.oid or "") if isinstance(node, Folder) else node
        for name, node in root.entries.items()
    }
    raw = b"".join(
        b"%s %s\0%s" % (leaf.mode.lstrip("0").encode(), name, bytes.fromhex(leaf.oid))
        for name, leaf in sorted(plain.items(), key=_git_order)
    )
    root.oid = hashlib.new(algorithm, b"tree %d\0%s" % (len(raw), raw), usedforsecurity=False).hexdigest()
    yield root.oid, plain


def _git_order(entry: tuple[bytes, Leaf]) -> bytes:
    name, leaf = entry
    return name + b"/" if leaf.mode == FOLDER_MODE else name


def mktree_text(entries: Mapping[bytes, Leaf]) -> bytes:
    """Return the entries of one tree as `git mktree --batch -z` reads them, with the empty line that ends them."""
    kinds = {FOLDER_MODE: b"tree", _SUBMODULE_MODE: b"commit"}
    lines = (
        b"%s %s %s\t%s\0" % (leaf.mode.encode(), kinds.get(leaf.mode, b"blob"), leaf.oid.encode(), name)
        for name, leaf in entries.items()
    )
    return b"".join(lines) + b"\0"
