"""Which changes of a worktree git itself made: a checkout, a merge, a rebase, a reset."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from aegis_tui.adapters.watch.listing import run_git, stored_ids
from aegis_tui.adapters.watch.tree_index import FileChange
from aegis_tui.errors import GitError

_INDEX_WAIT_S = 0.3
_INDEX_POLL_S = 0.005
_MOST_NAMED = 200

_LOG_TAIL_BYTES = 4096
_BY_PROGRAM = ("commit", "rebase (continue)")
_STOPPED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD")

Stages = Mapping[int, str]
"""Blob ids by stage: 0 for a path that is merged, 1 to 3 for base, ours and theirs of one in conflict."""


class GitWrites:
    """Tells git's own writes in one worktree from those of a program. Blocking; used from one thread at a time.

    git writes the files, then its index. So what git has put there is what the index then says, of a blob that was
    stored before the file was written: `git add` after a program's write stores it later. A file with conflict marks is
    git's when the conflict is new.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._conflicts: dict[str, Stages] = {}
        self._places: dict[str, Path] = {}

    def pick(self, changes: Iterable[FileChange]) -> frozenset[str]:
        """The paths of those changes that git made.

        Raises:
            GitError: git failed there.
            GitUnavailable: git is missing or does not answer.
        """
        asked = {change.path: change for change in changes}
        if not asked:
            return frozenset()
        self._await_index()
        index = self._read_index(list(asked))
        gone = [path for path, change in asked.items() if change.change_type == "deleted" and path not in index]
        found = self._removed(gone)
        for path, change in asked.items():
            stages = index.get(path, {})
            if 0 in stages:
                if self._is_checked_out(change, stages[0]):
                    found.add(path)
            elif stages and self._conflicts.get(path) != stages:
                found.add(path)
            self._note(path, stages)
        return frozenset(found)

    def _note(self, path: str, stages: Stages) -> None:
        if stages and 0 not in stages:
            self._conflicts[path] = stages
        else:
            self._conflicts.pop(path, None)

    def _await_index(self) -> None:
        """Give a git that is at work the time to say what it has done."""
        lock = self._git_path("index.lock")
        ends_at = time.monotonic() + _INDEX_WAIT_S
        while lock.exists() and time.monotonic() < ends_at:
            time.sleep(_INDEX_POLL_S)

    def _git_path(self, name: str) -> Path:
        if name not in self._places:
            (answer,) = run_git(self._root, ["rev-parse", "--git-path", name], ends_with=b"\n")
            self._places[name] = self._root / answer
        return self._places[name]

    def _read_index(self, paths: list[str]) -> dict[str, dict[int, str]]:
        found: dict[str, dict[int, str]] = {}
        for item in run_git(self._root, ["--literal-pathspecs", "ls-files", "-z", "-s", "--", *_few(paths)]):
            facts, _, path = item.partition("\t")
            _mode, oid, stage = facts.split(" ")
            found.setdefault(path, {})[int(stage)] = oid
        return found

    def _removed(self, paths: list[str]) -> set[str]:
        """Those of the paths, in no index, that the commit which is checked out or merged in does not have either."""
        if not paths:
            return set()
        stopped = [name for name in _STOPPED if self._git_path(name).exists()]
        return {path for commit in ("HEAD", *stopped) for path in set(paths) - self._in_commit(commit, paths)}

    def _in_commit(self, commit: str, paths: list[str]) -> set[str]:
        try:
            return set(run_git(self._root, ["ls-tree", "-r", "-z", "--name-only", commit, "--", *_few(paths)]))
        except GitError:
            return set(paths)

    def _is_checked_out(self, change: FileChange, oid: str) -> bool:
        if change.oid != oid and stored_ids(self._root, [change.path]).get(change.path) != oid:
            return False
        try:
            stored_ns = (self._git_path("objects") / oid[:2] / oid[2:]).stat().st_mtime_ns
            written_ns = (self._root / change.path).lstat().st_mtime_ns
        except OSError:
            return True  # in a pack: stored long ago
        if stored_ns != written_ns:
            return stored_ns < written_ns
        return change.path not in self._conflicts and self._merged_ns() >= written_ns

    def _merged_ns(self) -> int:
        """When git last made content of its own and put it here; 0 for never.

        The clock of files has ticks of milliseconds: what git merges and what a program writes and adds at once both
        look stored and written at one time, but only git notes right afterwards what it has done.
        """
        log = self._git_path("logs/HEAD")
        places = [self._git_path(name) for name in _STOPPED]
        if not _last_line(log).startswith(_BY_PROGRAM):
            places.append(log)
        return max(map(_changed_ns, places))


def _last_line(log: Path) -> str:
    """What was done last, as the log of a ref says it."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
            return file.read().decode(errors="replace").rstrip("\n").rpartition("\n")[2].rpartition("\t")[2]
    except OSError:
        return ""


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _few(paths: list[str]) -> list[str]:
    """The paths, or none, which means all, when they are too many for a command line."""
    return paths if len(paths) <= _MOST_NAMED else []
