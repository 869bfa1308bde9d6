"""How many paths a commit or tree has, and how long they are, without listing them (SEC-1, PERF-18).

A few objects can represent billions of files, if trees hold the same tree many times. Each tree is read once, and its
size is kept: the next commit has almost all trees of the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from aegis_tui.adapters.git.object_store import SizedCache
from aegis_tui.adapters.git.reader import ObjectReader
from aegis_tui.adapters.git.tree_object import FOLDER

_MAX_TREE_BYTES: Final = 32 << 20
_KEPT: Final = 100_000
_AT_ONCE: Final = 256


class TreeShape(NamedTuple):
    """What a tree object itself holds, as far as its size depends on it."""

    files: int
    """How many entries are no folders."""
    name_bytes: int
    """The length of their names together, with a NUL after each."""
    folders: Mapping[str, tuple[int, int]]
    """The id of each folder's tree -> how often it is there, and the length of these names, with a slash after each."""


class TreeSize(NamedTuple):
    """The size of a tree with all that is in its folders."""

    files: int
    """How many paths of files, links and submodules it has."""
    path_bytes: int
    """The length of these paths together, with a NUL after each."""
    depth: int
    """How many folders are inside each other at most; 0 without a folder."""


NOTHING: Final = TreeSize(0, 0, 0)


def shape_of(entries: Iterable[tuple[bytes, bytes, str]]) -> TreeShape:
    """Return the shape of a tree.

    Args:
        entries: Mode, name and id of each of its entries.
    """
    files = name_bytes = 0
    folders: dict[str, tuple[int, int]] = {}
    for mode, name, oid in entries:
        if mode.lstrip(b"0") == FOLDER:
            times, length = folders.get(oid, (0, 0))
            folders[oid] = (times + 1, length + len(name) + 1)
        else:
            files += 1
            name_bytes += len(name) + 1
    return TreeShape(files, name_bytes, folders)


def entries_of(raw: bytes, oid_bytes: int) -> Iterator[tuple[bytes, bytes, str]]:
    """Yield mode, name and id of the entries of a tree object, up to the first that is damaged.

    Args:
        raw: Its content, without the header; not trusted.
        oid_bytes: The length of the repository's object ids: 20 or 32.
    """
    at = 0
    while (end := raw.find(b"\0", at)) >= 0:
        mode, _, name = raw[at:end].partition(b" ")
        at = end + 1 + oid_bytes
        if at > len(raw):
            return
        yield mode, name, raw[end + 1 : at].hex()


class TreeSizes:
    """Measures trees of one repository. Methods raise `NoAnswerError` if git does not answer.

    Args:
        reader: Reads its objects.
    """

    def __init__(self, reader: ObjectReader) -> None:
        self._reader = reader
        self._known: SizedCache[TreeSize] = SizedCache(_KEPT)

    async def measure(self, oid: str, shapes: Mapping[str, TreeShape] | None = None) -> TreeSize:
        """Return the size of a tree; a tree that is missing counts as an empty one.

        Args:
            oid: The id of the tree.
            shapes: Trees that the repository does not have yet, by their ids.
        """
        known = dict(shapes or {})
        await self._read([oid], known)
        return self._add_up(oid, known, shapes or {})

    async def has_more(self, oid: str, files: int) -> bool:
        """Return whether a tree has more than so many paths; only as many trees are read as that needs.

        Args:
            oid: The id of the tree.
            files: The number.
        """
        if (known := self._known.get(oid)) is not None:
            return known.files > files
        shapes: dict[str, TreeShape] = {}
        await self._read([oid], shapes, enough=files)
        if sum(shape.files for shape in shapes.values()) > files:
            return True
        return self._add_up(oid, shapes, {}).files > files

    async def _read(self, oids: Sequence[str], shapes: dict[str, TreeShape], *, enough: int | None = None) -> None:
        """Add the shapes of trees, and of those in their folders, as far as neither they nor their sizes are known.

        Args:
            oids: The ids of the trees.
            shapes: To add to.
            enough: Stop when those in it have more files than that.
        """
        waiting, seen, files = list(oids), set(oids), 0
        while waiting:
            part, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
            wanted = [oid for oid in part if oid not in shapes and self._known.get(oid) is None]
            shapes.update(await self._shapes(wanted))
            for oid in part:
                shape = shapes.get(oid)
                fresh = [] if shape is None else [inner for inner in shape.folders if inner not in seen]
                seen.update(fresh)
                waiting += fresh
                files += 0 if shape is None else shape.files
            if enough is not None and files > enough:
                return

    async def _shapes(self, oids: Sequence[str]) -> dict[str, TreeShape]:
        facts = zip(oids, await self._reader.facts(*oids), strict=True)
        trees = [oid for oid, known in facts if known and known.kind == "tree" and known.size <= _MAX_TREE_BYTES]
        contents = zip(trees, await self._reader.contents(*trees), strict=True)
        return {oid: shape_of(entries_of(raw, len(oid) // 2)) for oid, raw in contents if raw is not None}

    def _add_up(self, oid: str, shapes: Mapping[str, TreeShape], foreign: Mapping[str, TreeShape]) -> TreeSize:
        """Return the size of a tree, from its folders up.

        Args:
            oid: Its id.
            shapes: The shapes of the trees in it whose sizes are not known; one that is missing counts as empty.
            foreign: Those that the repository does not have yet; the sizes of all others are kept.
        """
        sizes: dict[str, TreeSize] = {}
        waiting = [oid]
        while waiting:
            current = waiting[-1]
            shape = shapes.get(current)
            if current in sizes or shape is None:
                sizes.setdefault(current, self._known.get(current) or NOTHING)
                waiting.pop()
            elif missing := [inner for inner in shape.folders if inner not in sizes]:
                waiting += missing
            else:
                sizes[current] = size = _sum(shape, sizes)
                waiting.pop()
                if current not in foreign:
                    self._known.put(current, size, 1)
        return sizes[oid]


def _sum(shape: TreeShape, sizes: Mapping[str, TreeSize]) -> TreeSize:
    files, path_bytes, depth = shape.files, shape.name_bytes, 0
    for oid, (times, name_bytes) in shape.folders.items():
        inner = sizes[oid]
        files += times * inner.files
        path_bytes += times * inner.path_bytes + name_bytes * inner.files
        depth = max(depth, inner.depth + 1)
    return TreeSize(files, path_bytes, depth)
