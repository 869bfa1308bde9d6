"""The known state of one worktree's files, so that a change is reported once, and new times alone are no change."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from aegis_tui.adapters.watch.listing import Listed, has_filters, stored_ids
from aegis_tui.ports.tree_watch import ChangeType, FileChange
from aegis_tui.sdk.untrusted_folder import UntrustedFolder

HASHED_BYTES = 16 << 20
"""Larger files are compared only by size, times and inode."""

_SHA1_CHARS = 40


class _KnownFile(NamedTuple):
    size: int
    mtime_ns: int
    ctime_ns: int
    """Unlike the modification time, a program cannot set it back."""
    inode: int
    oid: str | None = None
    is_stored: bool = False
    """Whether `oid` is that of the content as git stores it, which filters may have changed."""

    def is_untouched(self, seen: _KnownFile) -> bool:
        return self[:4] == seen[:4]


class _Difference(NamedTuple):
    change: FileChange
    before: _KnownFile | None


class Folders:
    """Finds whether paths are really inside a worktree: a folder above may be a link, or another repository."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._links: dict[str, bool] = {"": False}
        self._foreign: dict[str, bool] = {"": False}

    def is_behind_link(self, path: str) -> bool:
        """Return whether a folder above the path, inside the worktree, is a link.

        Each folder is looked at only once.
        """
        return self._above(path, self._links, lambda folder: folder.is_symlink())

    def is_foreign(self, path: str) -> bool:
        """Return whether the path is inside a submodule or another repository, which git treats as one entry.

        Each folder is looked at only once.
        """
        return self._above(path, self._foreign, lambda folder: (folder / ".git").exists())

    def _above(self, path: str, known: dict[str, bool], test: Callable[[Path], bool]) -> bool:
        folder = path.rpartition("/")[0]
        if folder not in known:
            known[folder] = self._above(folder, known, test) or test(self._root / folder)
        return known[folder]


class TreeIndex:
    """The files of one worktree as last seen. Blocking; used from one thread at a time."""

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.root = root
        self._known: dict[str, _KnownFile] = {}
        self._unread: deque[str] = deque()
        self._round: deque[str] = deque()
        self._has_filters = False
        self._algorithm = "sha1"

    def learn(self, listed: Iterable[Listed]) -> None:
        """Record the files' current state without reporting changes.

        The content of files without a blob id is not known then, until `read_some` has read them.

        Raises:
            GitError: git failed in the worktree.
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        files = list(listed)
        self._has_filters = has_filters(self.root, (item.path for item in files))
        for path, oid in files:
            if (seen := self._look(path)) is None:
                continue
            self._known[path] = seen._replace(oid=oid, is_stored=oid is not None and self._has_filters)
            if oid is None:
                self._unread.append(path)
            elif len(oid) != _SHA1_CHARS:
                self._algorithm = "sha256"

    def learn_new(self, listed: Iterable[Listed]) -> list[str]:
        """Record the current state of files that were not known before, if git's index says that they are unchanged.

        No change is reported for them.

        Returns:
            The other files of which the index says that they are unchanged: those that were known before, or are gone.

        Raises:
            GitError: git failed in the worktree.
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        files, others = list(listed), list[str]()
        self._has_filters = self._has_filters or has_filters(self.root, (item.path for item in files))
        for path, oid in files:
            if oid is None:
                continue
            if len(oid) != _SHA1_CHARS:
                self._algorithm = "sha256"
            if path not in self._known and (seen := self._look(path)) is not None:
                self._known[path] = seen._replace(oid=oid, is_stored=self._has_filters)
            else:
                others.append(path)
        return others

    def paths(self) -> list[str]:
        """Return the paths of all files that are known, in any order."""
        return list(self._known)

    def __contains__(self, path: str) -> bool:
        return path in self._known

    def read_some(self, *, files: int, size_bytes: int) -> bool:
        """Read some of the files whose content is not known yet, so that a later `compare` can judge by it.

        One that cannot be read is not tried again. Raises nothing.

        Args:
            files: How many files to read at most.
            size_bytes: Start no further file after this many bytes.

        Returns:
            Whether unread files are left.
        """
        while self._unread and files > 0 and size_bytes > 0:
            path = self._unread.popleft()
            known, seen = self._known.get(path), self._look(path)
            if known is None or known.oid or seen is None or not known.is_untouched(seen):
                continue
            self._known[path] = known._replace(oid=self._hash(path, known.size))
            files, size_bytes = files - 1, size_bytes - known.size
        return bool(self._unread)

    def compare(self, paths: Iterable[str], *, moved: frozenset[str] = frozenset()) -> list[FileChange]:
        """Return what changed at these paths since they were last examined, judged by content; remember the new state.

        Empty if nothing changed. Files over `HASHED_BYTES` are judged by size, times and inode.

        Args:
            paths: Relative to the worktree; some may not exist.
            moved: Those of the paths that were created by a rename: `moved` is reported for them, not `created`.

        Raises:
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        folders = Folders(self.root)
        differences = (
            self._compare_one(path, None if folders.is_behind_link(path) else self._look(path)) for path in paths
        )
        return self._without_filtered([change for change in differences if change], moved)

    def compare_all(self, listed: Iterable[str], *, read_files: int = 0, read_bytes: int = 0) -> list[FileChange]:
        """Return what changed in the whole tree since it was last examined; remember the new state.

        Compares size, times and inode of all files, and the content of some. The changes are sorted by path; empty if
        there are none.

        Args:
            listed: All files that the tree should contain.
            read_files: How many apparently unchanged files to read too; each call continues where the last one ended.
            read_bytes: Start no further one of these after this many bytes.

        Raises:
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        folders, differences = Folders(self.root), []
        due = set(self._next_part(read_files, read_bytes))
        for path in sorted({*listed, *self._known}):
            seen = None if folders.is_behind_link(path) else self._look(path)
            known = self._known.get(path)
            if seen and known and known.is_untouched(seen) and path not in due:
                continue
            if change := self._compare_one(path, seen):
                differences.append(change)
        return self._without_filtered(differences, frozenset())

    def _next_part(self, files: int, size_bytes: int) -> Iterator[str]:
        if not self._round:
            self._round.extend(sorted(self._known))
        while self._round and files > 0 and size_bytes > 0:
            path = self._round.popleft()
            if known := self._known.get(path):
                files, size_bytes = files - 1, size_bytes - known.size
                yield path

    def _compare_one(self, path: str, seen: _KnownFile | None) -> _Difference | None:
        known = self._known.get(path)
        if seen is None:
            if self._known.pop(path, None) is None:
                return None
            return _Difference(FileChange(path, "deleted", self.name, None, self._folder_changed_ns(path)), known)
        seen = seen._replace(oid=self._hash(path, seen.size))
        self._known[path] = seen
        if known is not None and (known.is_untouched(seen) if None in (known.oid, seen.oid) else known.oid == seen.oid):
            return None
        change_type: ChangeType = "created" if known is None else "modified"
        return _Difference(FileChange(path, change_type, self.name, seen.oid, seen.ctime_ns), known)

    def _without_filtered(self, differences: list[_Difference], moved: frozenset[str]) -> list[FileChange]:
        """Return the changes, without files whose content, with filters applied, is what git has stored.

        A created file in `moved` is reported as moved.

        Raises:
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        doubtful = [
            item.change.path for item in differences if item.before and item.before.is_stored and item.change.oid
        ]
        stored = stored_ids(self.root, doubtful)
        changes = []
        for change, before in differences:
            if before and before.is_stored and stored.get(change.path) == before.oid:
                continue
            is_move = change.change_type == "created" and change.path in moved
            changes.append(replace(change, change_type="moved") if is_move else change)
        return changes

    def _look(self, path: str) -> _KnownFile | None:
        try:
            status = os.lstat(f"{self.root}/{path}")  # a third of the time of a Path, tens of thousands of times
        except (OSError, ValueError):
            return None
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            return None
        return _KnownFile(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def _folder_changed_ns(self, path: str) -> int:
        """Return when the folder of a removed file last changed, in nanoseconds since 1970; 0 if unknown.

        That is not before the removal.
        """
        try:
            return (self.root / path).parent.lstat().st_mtime_ns
        except (OSError, ValueError):
            return 0

    def _hash(self, path: str, size_bytes: int) -> str | None:
        """Return the blob id of the file, or of the target of the link, that has that name now.

        None if there is none, it cannot be read, or it is larger than `HASHED_BYTES`.

        Args:
            path: Relative to the worktree.
            size_bytes: The size that was seen before; the file may have changed since.
        """
        if size_bytes > HASHED_BYTES:
            return None
        try:
            with UntrustedFolder(self.root) as folder:
                content = folder.read(path, limit=HASHED_BYTES)
                if content is None:
                    content = folder.read_link(path)
        except OSError:
            return None
        if content is None:
            return None
        return hashlib.new(self._algorithm, b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
