"""The folders of a large worktree that an agent needs first, and how git is told to check out only those (PERF-6)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from aegis_tui.domain.path.file_name import name_of

_WILD = re.compile(r"[\\*?\[\]{}!,]")
_SPECIAL = re.compile(rb"([*?\[\\])")


def cone_of(globs: Iterable[str]) -> tuple[str, ...] | None:
    """Return the folders that hold every file that the globs match, sorted, without those inside another of them.

    A glob counts with its folders before the first wildcard. The files of the top folder, and those of each folder
    above a returned one, are not counted: a checkout of the folders includes them. Empty if nothing more is needed.

    Args:
        globs: In written form.

    Returns:
        The folders as Python holds their names; None if no folder limits a glob (`**`, `*/x.py`), or one has a line
        break.
    """
    folders: set[str] = set()
    for glob in globs:
        *above, last = name_of(glob).split("/")
        fixed = above[: next((at for at, part in enumerate(above) if _WILD.search(part)), len(above))]
        if "\n" in glob or (not fixed and (above or "**" in last)):
            return None
        if fixed:
            folders.add("/".join(fixed))
    return tuple(sorted(folder for folder in folders if folders.isdisjoint(_above(folder))))


def cone_patterns(folders: Iterable[str]) -> bytes:
    """Return the content of git's file `info/sparse-checkout`, in cone mode, for a checkout of these folders.

    Source: git-sparse-checkout(1), "Internals - cone pattern set".
    """
    parents: set[str] = set()
    whole = sorted(folders)
    for folder in whole:
        parents.update(_above(folder))
    lines = [b"/*", b"!/*/"]
    for parent in sorted(parents):
        lines += [b"/%s/" % _quoted(parent), b"!/%s/*/" % _quoted(parent)]
    lines += [b"/%s/" % _quoted(folder) for folder in whole]
    return b"".join(line + b"\n" for line in lines)


def _above(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _quoted(folder: str) -> bytes:
    return _SPECIAL.sub(rb"\\\1", os.fsencode(folder))
