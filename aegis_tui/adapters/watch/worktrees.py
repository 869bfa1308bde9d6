"""Lists the worktrees of a repository, including later changes."""

from __future__ import annotations

import os
from pathlib import Path

from aegis_tui.adapters.watch.listing import run_git
from aegis_tui.ports.tree_watch import ReadyWorktree

_BEING_MADE = "initializing"


class KnownWorktrees:
    """The worktrees of one repository. Blocking; git is asked again only after one was added, removed or moved."""

    def __init__(self, root: Path) -> None:
        """Store the repository; git is asked by `present`.

        Args:
            root: Any worktree of the repository.
        """
        self._root = root
        self._admins: Path | None = None
        self._mark: object = None
        self._listed: tuple[Path, ...] = ()

    def present(self) -> list[ReadyWorktree]:
        """Return folder and inode of the existing worktrees, the main one first if the repository is not bare.

        Those that git is still creating are left out.

        Raises:
            GitError: git failed in the repository.
            GitUnavailable: git is missing or does not answer, or the repository's folder is missing.
        """
        if self._admins is None:
            (common,) = run_git(self._root, ["rev-parse", "--git-common-dir"], ends_with=b"\n")
            self._admins = self._root / common / "worktrees"
        mark = _mark(self._admins)
        if mark != self._mark:
            self._listed = self._list()
            self._mark = mark
        return [ReadyWorktree(folder, inode) for folder in self._listed if (inode := _inode(folder))]

    def _list(self) -> tuple[Path, ...]:
        paths: list[Path] = []
        is_wanted = False
        for line in run_git(self._root, ["worktree", "list", "--porcelain", "-z"]):
            name, _, value = line.partition(" ")
            if name == "worktree":
                paths.append(Path(value))
                is_wanted = True
            elif is_wanted and (name == "bare" or (name == "locked" and value == _BEING_MADE)):
                paths.pop()
                is_wanted = False
        return tuple(paths)


def _mark(admins: Path) -> object:
    """Return a value, to be compared only, that changes when a worktree is created, completed, moved or removed.

    Args:
        admins: The folder of git's records of worktrees; it may be missing.
    """
    try:
        with os.scandir(admins) as entries:
            return sorted((entry.name, _changed_ns(Path(entry.path))) for entry in entries)
    except OSError:
        return ()


def _changed_ns(admin: Path) -> tuple[int, bool]:
    try:
        is_being_made = (admin / "locked").read_text("utf-8", "replace").strip() == _BEING_MADE
    except OSError:
        is_being_made = False
    try:
        return (admin / "gitdir").stat().st_mtime_ns, is_being_made
    except OSError:
        return 0, is_being_made


def _inode(folder: Path) -> int:
    """Return the inode of a worktree's folder; 0 if it is no longer a worktree."""
    try:
        return folder.stat().st_ino if (folder / ".git").exists() else 0
    except OSError:
        return 0
