"""What may stand in a tree that is handed in: others check it out, the person among them (PART-3, SEC-1).

Pure text. git itself takes any name and any link into a tree; a file system, and who follows a link, does not.
"""

from __future__ import annotations

import posixpath

from aegis_tui.domain.path.file_name import name_of
from aegis_tui.domain.path.git_path import is_git_path

MAX_PART_BYTES = 255
"""Of one part of a path: NAME_MAX of the file systems of Linux and macOS."""

MAX_PATH_BYTES = 3072
"""Of a path inside the repository: PATH_MAX is 4096 on Linux, and a worktree lies in some folder itself."""

MAX_TARGET_BYTES = 1023
"""Of what a link leads to: the least that systems take (macOS)."""


def name_problem(path: str) -> str:
    """Why a path cannot be checked out; empty when it can.

    Args:
        path: In its written form (contract 3).
    """
    raw = name_of(path).encode("utf-8", "surrogateescape")
    if len(raw) > MAX_PATH_BYTES:
        return f"the path has {len(raw)} bytes, and {MAX_PATH_BYTES} is the most: it could not be checked out"
    longest = max(map(len, raw.split(b"/")))
    if longest > MAX_PART_BYTES:
        return f"a part of the path has {longest} bytes, and {MAX_PART_BYTES} is the most: it could not be checked out"
    return ""


def link_problem(path: str, target: str) -> str:
    """Why a symbolic link may not be handed in; empty when it may.

    Args:
        path: Of the link, in its written form.
        target: As git stores it.
    """
    if not target or "\0" in target:
        return "a link that leads nowhere: it could not be checked out"
    if escapes(name_of(path), target):
        return f"a link out of the repository: {target}"
    if is_git_path(target):
        return f"a link into git's own folder: {target}"
    parts = [part for part in target.split("/") if part not in ("", ".")]
    if ".." in parts[parts.count("..") :]:
        return f"a link that leads back through what may be another link: {target}; write it without a/.."
    return ""


def escapes(path: str, target: str) -> bool:
    """True if a symbolic link at `path` leads out of the repository."""
    if target.startswith("/"):
        return True
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return reached == ".." or reached.startswith("../")
