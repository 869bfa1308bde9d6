"""Check the names and links of a submitted tree, which others and the person will check out (PART-3, SEC-1).

Works on text only. git accepts any name and any link in a tree; a file system may refuse the name, and a link may lead
out of the repository.
"""

from __future__ import annotations

import posixpath

from aegis_tui.domain.path.file_name import name_of
from aegis_tui.domain.path.git_path import is_git_path

MAX_PART_BYTES = 255
"""Longest part of a path: NAME_MAX of the file systems of Linux and macOS."""

MAX_PATH_BYTES = 3072
"""Longest path inside the repository: PATH_MAX is 4096 on Linux, and includes the folder of the worktree."""

MAX_TARGET_BYTES = 1023
"""Longest target of a link: the smallest limit of the supported systems (macOS)."""


def name_problem(path: str) -> str:
    """Return why a path, or a part of it, has too many bytes to be checked out; empty when it has not.

    Nothing else about it is checked.

    Args:
        path: In its written form (contract 3).
    """
    raw = name_of(path).encode("utf-8", "surrogateescape")
    if len(raw) > MAX_PATH_BYTES:
        return f"the path has {len(raw)} bytes, but at most {MAX_PATH_BYTES} can be checked out"
    longest = max(map(len, raw.split(b"/")))
    if longest > MAX_PART_BYTES:
        return f"a part of the path has {longest} bytes, but at most {MAX_PART_BYTES} can be checked out"
    return ""


def link_problem(path: str, target: str) -> str:
    """Return why a symbolic link may not be submitted; empty when it may.

    It may not if its target is empty, leads out of the repository or into git's own folder, or has `..` after a name,
    which may be a link itself.

    Args:
        path: The path of the link, in its written form.
        target: The target as git stores it.
    """
    if not target or "\0" in target:
        return "a link whose target is empty or has a NUL character, which cannot be checked out"
    if escapes(name_of(path), target):
        return f"a link out of the repository: {target}"
    if is_git_path(target):
        return f"a link into git's own folder: {target}"
    parts = [part for part in target.split("/") if part not in ("", ".")]
    if ".." in parts[parts.count("..") :]:
        return f"a link whose target has .. after a name that may itself be a link: {target}; write it without a/.."
    return ""


def escapes(path: str, target: str) -> bool:
    """Return whether a symbolic link leads out of the repository, by its text alone.

    An absolute target does; `..` is counted without following other links.

    Args:
        path: The path of the link, relative to the repository.
        target: The target as git stores it.
    """
    if target.startswith("/"):
        return True
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return reached == ".." or reached.startswith("../")
