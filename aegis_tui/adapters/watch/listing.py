"""Which files of a worktree matter: those that git tracks or would track."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from aegis_tui.errors import GitError, GitUnavailable

IGNORED_NAMES = frozenset(
    {".git", "node_modules", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
)
"""Never watched, whatever the ignore files say."""

_DEADLINE_S = 20.0
_GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false")


def is_ignored_name(path: str) -> bool:
    """Whether a part of the path, relative to its worktree, has one of the ignored names."""
    return not IGNORED_NAMES.isdisjoint(PurePosixPath(path).parts)


def list_files(root: Path) -> list[str]:
    """The tracked and the untracked but not ignored files of the worktree at `root`, relative to it.

    Raises:
        GitError: git failed there.
        GitUnavailable: git is missing or does not answer.
    """
    listed = _run(root, ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
    return [path for path in listed if not is_ignored_name(path)]


def ignored_by_git(root: Path, paths: Iterable[str]) -> frozenset[str]:
    """Those of the paths, relative to `root`, that git ignores and does not track.

    Raises:
        GitError: git failed there.
        GitUnavailable: git is missing or does not answer.
    """
    asked = b"\0".join(map(os.fsencode, paths))
    return frozenset(_run(root, ["check-ignore", "-z", "--stdin"], asked)) if asked else frozenset()


def _run(root: Path, arguments: list[str], given: bytes = b"") -> list[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            [*_GIT, *arguments],
            cwd=root,
            input=given,
            capture_output=True,
            timeout=_DEADLINE_S,
            env=environment,
            check=False,
        )
    except FileNotFoundError as error:
        raise GitUnavailable(f"git or {root} is missing", "install git 2.40 or newer") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitUnavailable(f"git did not answer in {root}", "try `git status` there") from error
    if done.returncode not in (0, 1):
        raise GitError(f"git {arguments[0]} failed in {root}: {done.stderr.decode(errors='replace').strip()[:300]}")
    return [os.fsdecode(item) for item in done.stdout.split(b"\0") if item]
