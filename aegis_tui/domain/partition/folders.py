"""The split that a person makes by hand, by folders: a suggestion has to cut fewer imports than this one (PART-4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aegis_tui.domain.partition.model import ProjectFile
from aegis_tui.domain.partition.units import size_of
from aegis_tui.domain.path.file_name import name_of


def split_by_folders(files: Sequence[ProjectFile], parts: int) -> dict[str, int]:
    """Return the part, from 0, of each file if the repository is divided by its folders.

    The largest folder is divided by its own folders, its files staying together, until there are enough groups. The
    smallest groups are then put together until there are as many as parts. Files of one folder are never separated,
    so that there may be fewer parts than wanted.

    Args:
        files: The files to divide.
        parts: How many parts are wanted, at least 1.
    """
    groups = _inner("", files)
    while len(groups) < parts:
        divisible = [name for name in groups if name.endswith("/")]
        if not divisible:
            break
        largest = max(divisible, key=lambda name: (_size(groups[name]), name))
        groups.update(_inner(largest, groups.pop(largest)))
    loads, owners = [0] * parts, dict[str, int]()
    for name in sorted(groups, key=lambda name: (-_size(groups[name]), name)):
        lightest = loads.index(min(loads))
        loads[lightest] += _size(groups[name])
        owners.update((file.path, lightest) for file in groups[name])
    return owners


def _inner(folder: str, files: Sequence[ProjectFile]) -> dict[str, list[ProjectFile]]:
    """Return the groups inside of a folder: `a/b/` for each folder in it, and `a/.` for its own files."""
    groups: dict[str, list[ProjectFile]] = {}
    for file in files:
        first, slash, _ = name_of(file.path).removeprefix(folder).partition("/")
        groups.setdefault(f"{folder}{first}/" if slash else f"{folder}.", []).append(file)
    return groups


def _size(files: Sequence[ProjectFile]) -> int:
    return sum(map(size_of, files))


def count_cut(files: Sequence[ProjectFile], owners: Mapping[str, object]) -> int:
    """Return how many imports go from one owner to another; those of and by files without an owner do not count."""
    return sum(
        owners[file.path] != owners[target]
        for file in files
        if file.path in owners
        for target in file.imports
        if target in owners
    )
