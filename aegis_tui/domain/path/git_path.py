"""Which paths belong to git: they are never locked, granted, or part of a partition or design (PART-3, SEC-2).

A name counts as `.git` when any file system that git supports treats it as `.git`. The checks are those that git makes
before it writes a tree (`verify_path`, `is_ntfs_dotgit` in path.c, `is_hfs_dotgit` in utf8.c), and stricter where that
costs nothing.
"""

from __future__ import annotations

import re
import unicodedata

from aegis_tui.domain.inert import is_hidden
from aegis_tui.domain.path.file_name import name_of

_DOT_GIT = re.compile(r"(?:\.git|git~1)[. ]*(?::.*)?\Z", re.DOTALL)


def is_git_name(name: str) -> bool:
    """Return whether one part of a path is `.git` on some file system that git supports.

    Ignored are letter case, compatibility forms, characters that HFS+ ignores, dots and spaces at the end, and all that
    follows a colon (an NTFS stream); `git~1` is the short name of `.git` on NTFS.
    """
    if name.isascii() and name[:1] not in (".", "g", "G"):
        return False
    seen = unicodedata.normalize("NFKC", "".join(char for char in name if not is_hidden(char)))
    return _DOT_GIT.match(seen.casefold()) is not None


def is_git_path(path: str) -> bool:
    """Return whether any part of a path is `.git` on some file system: in the repository, a submodule or a worktree.

    A backslash separates parts too, as on NTFS.

    Args:
        path: In its written form (contract 3).
    """
    if path.isascii() and path.isprintable() and "git" not in path.lower():
        return False
    return any(map(is_git_name, name_of(path).replace("\\", "/").split("/")))
