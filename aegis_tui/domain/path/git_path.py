"""Which paths are git's own: never locked, never in a partition, never granted, in no design (PART-3, SEC-2).

A name counts as `.git` when any file system that git supports takes it for that: the checks are those that git itself
makes before it writes a tree (`verify_path`, `is_ntfs_dotgit` in path.c, `is_hfs_dotgit` in utf8.c), and wider where
that costs nothing.
"""

from __future__ import annotations

import re
import unicodedata

from aegis_tui.domain.inert import is_hidden
from aegis_tui.domain.path.file_name import name_of

_DOT_GIT = re.compile(r"(?:\.git|git~1)[. ]*(?::.*)?\Z", re.DOTALL)


def is_git_name(name: str) -> bool:
    """Whether one part of a path is `.git` on some file system.

    Letter case does not count, nor compatibility forms, characters that HFS+ ignores, dots and blanks at the end, or
    what follows a colon (an NTFS stream); `git~1` is its short name on NTFS.
    """
    if name.isascii() and name[:1] not in (".", "g", "G"):
        return False
    seen = unicodedata.normalize("NFKC", "".join(char for char in name if not is_hidden(char)))
    return _DOT_GIT.match(seen.casefold()) is not None


def is_git_path(path: str) -> bool:
    """Whether any part of a path is git's own, in the repository, a submodule or a worktree.

    A backslash parts a path too, as on NTFS.

    Args:
        path: In its written form (contract 3).
    """
    return any(map(is_git_name, name_of(path).replace("\\", "/").split("/")))
