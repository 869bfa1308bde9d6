"""The meaning of git's error output: which errors may pass, and which every other instance would meet too (FLOW-10).

Works on text only. git translates its messages, so callers run it with LC_ALL=C or C.UTF-8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

GUARD_MARK = "aegis-tui: refused:"
"""How each line of an instance's guard starts (`adapters/git/guard.sh`)."""

CHAIN_NAME = "chain"
"""Name of the file in the guard's folder that names the folder of the person's own hooks."""


@dataclass(frozen=True, slots=True)
class GitRefusal:
    """What an error of git means."""

    code: str
    hint: str
    """What a person can do about it; empty when git's own message says it."""
    is_certain: bool
    """True when every other instance would get the same error."""


_KNOWN: tuple[tuple[str, GitRefusal], ...] = (
    (
        r"(?i)No space left on device|Disk quota exceeded|File too large",
        GitRefusal("disk.full", "free space on that disk, then start the run again", True),
    ),
    (
        r"(?i)external filter '|(?:clean|smudge|process) filter '[^\n]*' failed|filter '[^\n]*' failed",
        GitRefusal("git.filter", "install the filter's program; git config --get-regexp '^filter' shows it", True),
    ),
    (
        r"(?i)insufficient permission for adding an object|failed to insert into database"
        r"|unable to write new index file|Read-only file system|(?:unable|cannot|could not)[^\n]*Permission denied"
        r"|unable to write (?:loose )?(?:object|sha1) file",
        GitRefusal("git.store", "get write permission; ls -ld .git .git/objects .git/refs shows the owners", True),
    ),
    (
        r"(?i)unable to normalize alternate|could not fetch [0-9a-f]+ from promisor|promisor remote"
        r"|unable to read (?:tree|[0-9a-f]{40})|(?:missing|bad) (?:blob|tree|object)|object file [^\n]* is empty"
        r"|loose object [^\n]* is corrupt",
        GitRefusal("git.objects", "run git fsck --connectivity-only: it names the objects that cannot be read", True),
    ),
    (
        r"dubious ownership",
        GitRefusal(
            "git.ownership", "run git config --global --add safe.directory PATH, with the path in git's message", True
        ),
    ),
    (r"\.lock': File exists|Another git process seems to be running", GitRefusal("git.locked", "", False)),
)


def read_refusal(output: str) -> GitRefusal | None:
    """Return what a known error in the error output of a git command means; None when there is none in it.

    If there are several, the first kind in this module's list counts. Only lines of git itself are read (`error:`,
    `fatal:`), because a hook may print anything.
    """
    own = "\n".join(line for line in output.splitlines() if line.startswith(("error:", "fatal:")))
    return next((meaning for pattern, meaning in _KNOWN if re.search(pattern, own)), None)


def read_commit_refusal(output: str) -> GitRefusal:
    """Return what refused a commit, from the command's error output; never None.

    The code is `commit.guard` if the instance's own guard wrote a line, else that of a known error of git, else
    `commit.hook`.
    """
    if GUARD_MARK in output:
        return GitRefusal("commit.guard", "", False)
    return read_refusal(output) or GitRefusal("commit.hook", "", False)
