"""The units that are shared out: a folder as a whole where it is small, single files where it is not.

Small units cut fewer imports, large ones need fewer globs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aegis_tui.domain.partition.cutting import Edges
from aegis_tui.domain.partition.model import ProjectFile
from aegis_tui.domain.path.file_name import name_of

MOST_UNITS: Final = 3_000
_MOST_APART: Final = 400
"""The most files of one folder that are shared out one by one."""
_A_FILE: Final = 20
"""How many lines a file counts besides its own."""
FINE: Final = (16, 6, 2)
"""How many times smaller than a part a folder is that is never divided: first, and if that gives too many globs."""
_BESIDE: Final = 0.2
_BELOW: Final = 0.1
"""The weight of lying in the same folder, and of a folder that lies in another; that of an import is 1."""


class Units(NamedTuple):
    """What is shared out."""

    members: list[list[str]]
    """The paths of each unit."""
    folders: list[str]
    """The folder of each unit, as Python holds it."""
    sizes: list[int]


@dataclass
class _SizedFolder:
    name: str
    files: list[str] = field(default_factory=list)
    folders: dict[str, _SizedFolder] = field(default_factory=dict)
    size: int = 0


def size_of(file: ProjectFile) -> int:
    """Return how much a file counts when parts are made equally large, in lines."""
    return file.lines + _A_FILE


def make_units(files: Sequence[ProjectFile], parts: int, *, fine: int) -> Units:
    """Return the files as units, each file in one; they are at most about `MOST_UNITS`, or eight for each part.

    Args:
        files: The files, not empty.
        parts: How many parts are wanted.
        fine: How many times smaller than a part a folder is that is never divided.
    """
    root, total = _tree(files), sum(map(size_of, files))
    sizes = {file.path: size_of(file) for file in files}
    least = total // (fine * parts)
    while True:
        divided = list(_units(root, sizes, least))
        if len(divided) <= max(MOST_UNITS, 8 * parts) or least > total:
            break
        least = max(2 * least, 1)
    members = [paths for _, paths in divided]
    return Units(members, [folder for folder, _ in divided], [sum(map(sizes.__getitem__, paths)) for paths in members])


def _tree(files: Sequence[ProjectFile]) -> _SizedFolder:
    root = _SizedFolder("")
    for file in sorted(files):
        *parts, _ = name_of(file.path).split("/")
        folder, size = root, size_of(file)
        folder.size += size
        for part in parts:
            folder = folder.folders.setdefault(part, _SizedFolder(f"{folder.name}{part}/"))
            folder.size += size
        folder.files.append(file.path)
    return root


def _units(folder: _SizedFolder, sizes: Mapping[str, int], least: int) -> Iterator[tuple[str, list[str]]]:
    if folder.name and folder.size <= least:
        yield folder.name, list(_below(folder))
        return
    here = sum(map(sizes.__getitem__, folder.files))
    if folder.files and folder.name and (here <= least or len(folder.files) > _MOST_APART):
        yield folder.name, folder.files
    else:
        yield from ((folder.name, [path]) for path in folder.files)
    for inner in folder.folders.values():
        yield from _units(inner, sizes, least)


def _below(folder: _SizedFolder) -> Iterator[str]:
    yield from folder.files
    for inner in folder.folders.values():
        yield from _below(inner)


def bind_units(units: Units, pairs: Mapping[tuple[str, str], float]) -> Edges:
    """Return the weights between units: those of the files in them, and a little for lying in the same folder.

    Args:
        units: The units.
        pairs: Two files -> the weight between them. Pairs with a file that is in no unit are left out.
    """
    number = {path: at for at, paths in enumerate(units.members) for path in paths}
    edges: dict[tuple[int, int], float] = {}

    def bind(a: int | None, b: int | None, weight: float) -> None:
        if a is not None and b is not None and a != b:
            key = (min(a, b), max(a, b))
            edges[key] = edges.get(key, 0.0) + weight

    for (one, other), weight in pairs.items():
        bind(number.get(one), number.get(other), weight)
    largest: dict[str, int] = {}
    for at in sorted(range(len(units.sizes)), key=lambda unit: (-units.sizes[unit], unit)):
        folder = units.folders[at]
        if folder:
            bind(largest.setdefault(folder, at), at, _BESIDE)
            outer = f"{folder.rstrip('/').rpartition('/')[0]}/"
            bind(largest.get(outer), at, _BELOW)
    return edges
