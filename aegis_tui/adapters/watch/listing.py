"""Lists the files of a worktree that git tracks or would track, and what git knows about their content."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from aegis_tui.adapters.git.admin import read_record
from aegis_tui.adapters.git.environment import outside_environment
from aegis_tui.adapters.git.filters import LIST_FILTERS, switched_off
from aegis_tui.adapters.git.private import OwnGit
from aegis_tui.errors import GitError, GitUnavailable

IGNORED_NAMES = frozenset(
    {".git", "node_modules", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
)
"""Names of folders that are never watched, whatever the ignore files say."""

_DEADLINE_S = 20.0
_GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false")
_TRACKED_AS_IS = "H"
_NOT_THERE = "S"
"""The tag of files with the skip-worktree bit: those that a worktree lacks while it is incomplete."""
_MODIFIED = frozenset("CRM")
_OTHER = "?"


class Listed(NamedTuple):
    """One listed file."""

    path: str
    """Relative to its worktree."""
    oid: str | None
    """The blob id of its content as git stores it, if the index knows that the file is unchanged; else None."""


def is_ignored_name(path: str) -> bool:
    """Return whether a part of the path, relative to its worktree, is one of `IGNORED_NAMES`, such as `.git`."""
    return not IGNORED_NAMES.isdisjoint(path.split("/"))


def list_files(root: Path) -> list[str]:
    """Return the tracked and the untracked, not ignored files of the worktree at `root`, relative to it.

    Files in folders of `IGNORED_NAMES`, such as `node_modules`, are left out; a tracked file that was deleted is there.
    No path is there twice.

    Raises:
        GitError: git failed in the worktree.
        GitUnavailable: git or the folder is missing, or git does not answer.
    """
    listed = run_git(root, ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
    return [path for path in listed if not is_ignored_name(path)]


def list_contents(root: Path, *, is_whole: bool = True) -> list[Listed]:
    """Return the tracked and the untracked, not ignored files of the worktree at `root`; reads none of them.

    A file that is unchanged since the index was written has the index's blob id, every other one None, also a tracked
    one that was deleted. Files in folders of `IGNORED_NAMES`, such as `node_modules`, are left out.

    Args:
        root: The top folder of the worktree.
        is_whole: Whether to list files that the worktree lacks because it is still incomplete.

    Raises:
        GitError: git failed in the worktree.
        GitUnavailable: git or the folder is missing, or git does not answer.
    """
    oids: dict[str, str | None] = {}
    dirty: set[str] = set()
    for item in run_git(root, ["ls-files", "-z", "-t", "-s", "-c", "-m", "-o", "--exclude-standard"]):
        tag, _, rest = item.partition(" ")
        if tag == _NOT_THERE and not is_whole:
            continue
        facts, _, path = rest.partition("\t") if tag != _OTHER else ("", "", rest)
        if tag in _MODIFIED:
            dirty.add(path)
        oids[path] = facts.split(" ")[1] if tag == _TRACKED_AS_IS else oids.get(path)
    return [Listed(path, None if path in dirty else oid) for path, oid in oids.items() if not is_ignored_name(path)]


def has_filters(root: Path, paths: Iterable[str]) -> bool:
    """Return whether git may store other bytes than a file contains (line ends, large file pointers).

    Args:
        root: The worktree.
        paths: All files of the worktree.

    Raises:
        GitError: git failed in the worktree.
        GitUnavailable: git or the folder is missing, or git does not answer.
    """
    if any(path == ".gitattributes" or path.endswith("/.gitattributes") for path in paths):
        return True
    settings = run_git(root, ["config", "-z", "--get-regexp", r"^core\.(autocrlf|attributesfile)$"])
    if any(not item.endswith("\nfalse") for item in settings):
        return True
    (private,) = run_git(root, ["rev-parse", "--git-path", "info/attributes"], ends_with=b"\n")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return (root / private).exists() or (config / "git" / "attributes").exists()


def stored_ids(root: Path, paths: Iterable[str]) -> dict[str, str]:
    """Return, by path, the blob ids that git would store the files under, with filters applied.

    Missing files and paths with a line break are left out; if a file cannot be read, or git fails, the result is empty.
    In an instance's worktree no filter program is started: it would run on behalf of the instance, outside its sandbox.

    Args:
        root: The worktree.
        paths: Relative to it.

    Raises:
        GitUnavailable: git or the folder is missing, or git does not answer.
    """
    asked = [path for path in paths if "\n" not in path and (root / path).is_file()]
    given = b"".join(os.fsencode(path) + b"\n" for path in asked)
    try:
        off = switched_off(run_git(root, LIST_FILTERS)) if asked and instance_git(root) is not None else {}
        argv = ["hash-object", "--stdin-paths"]
        answered = run_git(root, argv, given, ends_with=b"\n", environment=off) if asked else []
    except GitError:
        return {}
    return dict(zip(asked, answered, strict=True))


def ignored_by_git(root: Path, paths: Iterable[str]) -> frozenset[str]:
    """Return those paths, relative to `root`, that git ignores and does not track, or that it refuses to examine.

    It refuses a path behind a link, for example; the other paths are examined nevertheless.

    Raises:
        GitError: git fails there whatever the paths are, for example because `root` is in no worktree.
        GitUnavailable: git or the folder is missing, or git does not answer.
    """
    asked = list(paths)
    if not asked:
        return frozenset()
    try:
        return _ignored(root, asked)
    except GitError:
        run_git(root, ["rev-parse", "--is-inside-work-tree"], ends_with=b"\n")
        return _ignored_in_parts(root, asked)


def _ignored_in_parts(root: Path, paths: list[str]) -> frozenset[str]:
    """Return the paths that git ignores, and those that make git refuse a whole list, such as one behind a link.

    The list is halved until git accepts a part or refuses a single path.

    Raises:
        GitUnavailable: git or the folder is missing, or git does not answer.
    """
    try:
        return _ignored(root, paths)
    except GitError:
        if len(paths) == 1:
            return frozenset(paths)
        middle = len(paths) // 2
        return _ignored_in_parts(root, paths[:middle]) | _ignored_in_parts(root, paths[middle:])


def _ignored(root: Path, paths: list[str]) -> frozenset[str]:
    given = b"\0".join(b"./" + os.fsencode(path) for path in paths)  # a path may begin with a colon, which is magic
    return frozenset(path.removeprefix("./") for path in run_git(root, ["check-ignore", "-z", "--stdin"], given))


def instance_git(root: Path) -> OwnGit | None:
    """Return the git folder that the instance in the worktree at `root` uses; None if no instance works there.

    Raises:
        GitError: git failed in the worktree.
        GitUnavailable: git is missing or does not answer, or the worktree's folder is missing.
    """
    admin = git_folder(root)
    record = read_record(admin)
    return OwnGit.of(admin) if record is not None and record.instance else None


def git_folder(root: Path) -> Path:
    """Return the folder of the worktree at `root` in the common git folder.

    Raises:
        GitError: git failed in the worktree.
        GitUnavailable: git or the folder is missing, or git does not answer.
    """
    (admin,) = run_git(root, ["rev-parse", "--absolute-git-dir"], ends_with=b"\n")
    return Path(admin)


def run_git(
    root: Path,
    arguments: Sequence[str],
    given: bytes = b"",
    *,
    ends_with: bytes = b"\0",
    environment: Mapping[str, str] | None = None,
) -> list[str]:
    """Run git in the worktree at `root` and return its output, split into items; empty ones are left out.

    An exit status of 1 is no error: what git has printed is returned. git gets 20 s. Blocking.

    Args:
        root: The folder to run git in.
        arguments: The command and its arguments.
        given: Its standard input.
        ends_with: The terminator of an item.
        environment: Variables to add.

    Raises:
        GitError: git failed in the worktree, with an exit status above 1 or by a signal.
        GitUnavailable: git or the folder is missing, or git does not answer.
    """
    kept = outside_environment(os.environ)
    try:
        done = subprocess.run(
            [*_GIT, *arguments],
            cwd=root,
            input=given,
            capture_output=True,
            timeout=_DEADLINE_S,
            env=kept | dict(environment or {}),
            check=False,
        )
    except FileNotFoundError as error:
        raise GitUnavailable(f"git or {root} is missing", "install git 2.38 or newer") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitUnavailable(f"git did not answer in {root}", "try `git status` there") from error
    if done.returncode not in (0, 1):
        raise GitError(f"git {arguments[0]} failed in {root}: {done.stderr.decode(errors='replace').strip()[:300]}")
    return [os.fsdecode(item) for item in done.stdout.split(ends_with) if item]
