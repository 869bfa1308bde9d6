"""Writes down which files belong to whom as globs of which no two share a path (PART-1, PART-4).

A folder that has one owner is `folder/**`, the files directly in a folder `folder/*`; all else is named file by file.
So new files belong to the owner of their folder, if it has only one. Nothing is claimed for the top folder as a whole.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aegis_tui.domain.glob.pattern import MAX_DEPTH, MAX_LENGTH, escape_glob, prepare
from aegis_tui.domain.inert import has_hidden
from aegis_tui.domain.path.file_name import name_of, read_name, write_name
from aegis_tui.domain.path.git_path import is_git_path
from aegis_tui.domain.scope.closed import SPECS

CLOSED: Final = "closed"
"""The owner of files that no glob of a design may name."""


class OwnedGlob(NamedTuple):
    """A glob, who owns what it matches, and how many files that are now."""

    glob: str
    owner: str
    files: int
    first: str
    """The first of these files, as an example."""


@dataclass
class _OwnedFolder:
    """What is in a folder, by the form in which names are compared."""

    name: str
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The name and the owner of each file."""
    folders: dict[str, _OwnedFolder] = field(default_factory=dict)
    count: int = 0
    """How many files are in it and in all folders below."""
    owner: str | None = None
    """Who owns everything below; None if several do."""


def is_closed(path: str) -> bool:
    """Return whether no glob of a design may name a file: it is git's, a spec, or no glob can hold its name."""
    name = name_of(path)
    below = name.lower()
    return (
        is_git_path(path)
        or below == SPECS
        or below.startswith(f"{SPECS}/")
        or has_hidden(path)
        or any(unicodedata.category(char) == "Cc" for char in name)
        or name.count("/") >= MAX_DEPTH
        or len(escape_glob(path)) > MAX_LENGTH - 3
    )


def exclusive_globs(owners: Mapping[str, str], *, ignore_case: bool = False) -> list[OwnedGlob]:
    """Return globs for all files, in order of their paths, of which no two share a path.

    Args:
        owners: Path of a file, in its written form -> who owns it. Files of the owner `CLOSED` get no glob, and no
            other glob matches them.
        ignore_case: Whether names that differ only in case are one name; the first of them decides on the owner.
    """
    root = _OwnedFolder("")
    for path, owner in sorted(owners.items()):
        *folders, name = name_of(path).split("/")
        folder = root
        for part in folders:
            folder = folder.folders.setdefault(prepare(part, ignore_case=ignore_case), _OwnedFolder(part))
        folder.files.setdefault(prepare(name, ignore_case=ignore_case), (name, owner))
    _settle(root)
    return list(_globs(root, ""))


def _settle(folder: _OwnedFolder) -> None:
    """Set `count` and `owner` of a folder and of those in it."""
    for inner in folder.folders.values():
        _settle(inner)
    owners = {owner for _, owner in folder.files.values()} | {inner.owner for inner in folder.folders.values()}
    folder.count = len(folder.files) + sum(inner.count for inner in folder.folders.values())
    folder.owner = owners.pop() if len(owners) == 1 else None


def _globs(folder: _OwnedFolder, prefix: str) -> Iterator[OwnedGlob]:
    if prefix and folder.owner is not None:
        if folder.owner != CLOSED:
            yield OwnedGlob(_glob(prefix, "**"), folder.owner, folder.count, _first(folder, prefix))
        return
    here = {owner for _, owner in folder.files.values()}
    if prefix and len(here) == 1 and CLOSED not in here and len(folder.files) > 1:
        first = write_name(prefix + next(iter(folder.files.values()))[0])
        yield OwnedGlob(_glob(prefix, "*"), here.pop(), len(folder.files), first)
    else:
        for name, owner in folder.files.values():
            if owner != CLOSED:
                yield OwnedGlob(_glob(prefix + name), owner, 1, write_name(prefix + name))
    for inner in folder.folders.values():
        yield from _globs(inner, f"{prefix}{inner.name}/")


def _first(folder: _OwnedFolder, prefix: str) -> str:
    while not folder.files:
        folder = next(iter(folder.folders.values()))
        prefix += f"{folder.name}/"
    return write_name(prefix + next(iter(folder.files.values()))[0])


def _glob(name: str, tail: str = "") -> str:
    """Return the glob of a path that Python holds, with `tail` after it; escaped, and in its written form."""
    return write_name(read_name(escape_glob(write_name(name))) + tail)
