"""Finds which changes in a worktree git itself made: by a checkout, merge, rebase or reset."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from aegis_tui.adapters.git.folder import scratch_folder
from aegis_tui.adapters.git.private import OwnGit
from aegis_tui.adapters.watch.listing import instance_git, run_git, stored_ids
from aegis_tui.errors import GitError
from aegis_tui.ports.tree_watch import FileChange

_INDEX_WAIT_S = 0.3
_INDEX_POLL_S = 0.005
_MOST_NAMED = 200

_BY_PROGRAM = ("commit", "rebase (continue)")
_STOPPED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD")

Stages = Mapping[int, str]
"""Blob ids by stage: 0 for a merged path, 1 to 3 for base, ours and theirs of a path in conflict."""


class GitWrites:
    """Distinguishes git's own writes in one worktree from those of programs. Blocking; used from one thread at a time.

    git writes a file before it writes its index. So git wrote a file if the index has the file's content, and that blob
    was stored before the file was written: with `git add` after a program's write it is stored later. A file with
    conflict markers was written by git if the conflict is new.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._conflicts: dict[str, Stages] = {}
        self._own: OwnGit | None = None
        self._common: Path | None = None

    def pick(self, changes: Iterable[FileChange]) -> frozenset[str]:
        """Return the paths of those changes that git made, by a checkout, merge, rebase or reset; may wait 0.3 s.

        It waits while a git command is under way. Empty if git made none. Pass each change once and in time: a conflict
        that was passed before is no longer new.

        Raises:
            GitError: git failed in the worktree.
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        asked = {change.path: change for change in changes}
        if not asked:
            return frozenset()
        self._await_index()
        index = self._read_index(list(asked))
        gone = [path for path, change in asked.items() if change.change_type == "deleted" and path not in index]
        picked = self._removed(gone)
        for path, change in asked.items():
            stages = index.get(path, {})
            if 0 in stages:
                if self._is_checked_out(change, stages[0]):
                    picked.add(path)
            elif stages and self._conflicts.get(path) != stages:
                picked.add(path)
            self._note(path, stages)
        return frozenset(picked)

    def _note(self, path: str, stages: Stages) -> None:
        if stages and 0 not in stages:
            self._conflicts[path] = stages
        else:
            self._conflicts.pop(path, None)

    def _await_index(self) -> None:
        """Wait, for 0.3 s at most, while git holds the lock of the index, so that the index shows what it has done.

        Raises:
            GitError: git failed in the worktree.
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        ends_at = time.monotonic() + _INDEX_WAIT_S
        while self._changed_ns("index.lock") and time.monotonic() < ends_at:
            time.sleep(_INDEX_POLL_S)

    def _folder(self) -> OwnGit:
        """Return the git folder that is used in the worktree: an instance in a sandbox has its own.

        Raises:
            GitError: git failed in the worktree.
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        if self._own is None:
            own = instance_git(self._root)
            if own is None:
                (admin,) = run_git(self._root, ["rev-parse", "--absolute-git-dir"], ends_with=b"\n")
                own = OwnGit(Path(admin), None)
            self._own = own
        return self._own

    def _objects(self) -> Path:
        if self._common is None:
            (answer,) = run_git(self._root, ["rev-parse", "--git-path", "objects"], ends_with=b"\n")
            self._common = self._root / answer
        return self._common

    def _read_index(self, paths: list[str]) -> dict[str, dict[int, str]]:
        argv = ["--literal-pathspecs", "ls-files", "-z", "-s", "--", *_few(paths)]
        own = self._folder()
        if own.store is None:
            return _entries(run_git(self._root, argv))
        with scratch_folder() as folder:
            copy = folder / "index"
            own.copy_index(copy)
            return _entries(run_git(self._root, argv, environment={"GIT_INDEX_FILE": str(copy)}))

    def _removed(self, paths: list[str]) -> set[str]:
        """Return those paths that the checked-out commit, or a commit that is being merged, does not have either.

        Args:
            paths: Deleted files that are not in the index.

        Raises:
            GitError: git failed in the worktree.
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        if not paths:
            return set()
        own = self._folder()
        stopped = [text for name in _STOPPED if self._changed_ns(name) and (text := own.oid(name))]
        return {
            path for commit in (own.head() or "HEAD", *stopped) for path in set(paths) - self._in_commit(commit, paths)
        }

    def _in_commit(self, commit: str, paths: list[str]) -> set[str]:
        try:
            return set(run_git(self._root, ["ls-tree", "-r", "-z", "--name-only", commit, "--", *_few(paths)]))
        except GitError:
            return set(paths)

    def _is_checked_out(self, change: FileChange, oid: str) -> bool:
        if change.oid != oid and stored_ids(self._root, [change.path]).get(change.path) != oid:
            return False
        try:
            stored_ns = self._stored_ns(oid)
            written_ns = (self._root / change.path).lstat().st_mtime_ns
        except OSError:
            return True  # in a pack: stored long ago
        if stored_ns != written_ns:
            return stored_ns < written_ns
        return change.path not in self._conflicts and self._merged_ns() >= written_ns

    def _merged_ns(self) -> int:
        """Return when git last wrote content of its own to the worktree, in nanoseconds since 1970; 0 for never.

        File times have a resolution of milliseconds. What git merges, and what a program writes and adds at once, both
        appear as stored and written at the same time; but only git records right afterwards what it has done.

        Raises:
            GitError: git failed in the worktree.
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        names = [*_STOPPED]
        if not self._folder().last_log_line().startswith(_BY_PROGRAM):
            names.append("logs/HEAD")
        return max(map(self._changed_ns, names))

    def _changed_ns(self, name: str) -> int:
        """Return when a file in the git folder was last changed, in nanoseconds since 1970; 0 if there is none.

        Raises:
            GitError: git failed in the worktree.
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        status = self._folder().status(name)
        return 0 if status is None else status.st_mtime_ns

    def _stored_ns(self, oid: str) -> int:
        """Return when an object was stored, in nanoseconds since 1970.

        Raises:
            OSError: It is in a pack, or missing.
            GitError: git failed in the worktree.
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        own = self._folder().object_status(oid)
        return (own or (self._objects() / oid[:2] / oid[2:]).stat()).st_mtime_ns


def _entries(listed: list[str]) -> dict[str, dict[int, str]]:
    entries: dict[str, dict[int, str]] = {}
    for item in listed:
        facts, _, path = item.partition("\t")
        _mode, oid, stage = facts.split(" ")
        entries.setdefault(path, {})[int(stage)] = oid
    return entries


def _few(paths: list[str]) -> list[str]:
    """Return the paths, or an empty list, which means all to git, if there are more than 200."""
    return paths if len(paths) <= _MOST_NAMED else []
