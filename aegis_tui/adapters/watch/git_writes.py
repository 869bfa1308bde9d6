"""Which changes of a worktree git itself made: a checkout, a merge, a rebase, a reset."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from aegis_tui.adapters.watch.listing import run_git, stored_ids
from aegis_tui.adapters.watch.tree_index import FileChange
from aegis_tui.errors import GitError

_INDEX_WAIT_S = 0.3
_INDEX_POLL_S = 0.005
_MOST_NAMED = 200

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
        found = set(gone) - self._in_head(gone)
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

    def _in_head(self, paths: list[str]) -> set[str]:
        if not paths:
            return set()
        try:
            return set(run_git(self._root, ["ls-tree", "-r", "-z", "--name-only", "HEAD", "--", *_few(paths)]))
        except GitError:
            return set()

    def _is_checked_out(self, change: FileChange, oid: str) -> bool:
        if change.oid is None or (change.oid != oid and stored_ids(self._root, [change.path]).get(change.path) != oid):
            return False
        try:
            stored_ns = (self._git_path("objects") / oid[:2] / oid[2:]).stat().st_mtime_ns
            return stored_ns <= (self._root / change.path).lstat().st_mtime_ns
        except OSError:
            return True  # in a pack: stored long ago


def _few(paths: list[str]) -> list[str]:
    """The paths, or none, which means all, when they are too many for a command line."""
    return paths if len(paths) <= _MOST_NAMED else []
