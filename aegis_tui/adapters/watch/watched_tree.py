"""One watched worktree: the kernel events that are not processed yet, and the index to compare with."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from watchdog.observers.api import ObservedWatch

from aegis_tui.adapters.watch.git_writes import GitWrites
from aegis_tui.adapters.watch.listing import git_folder, ignored_by_git, is_ignored_name, list_contents, list_files
from aegis_tui.adapters.watch.tree_index import Folders, TreeIndex
from aegis_tui.domain.filling import FILLING_NAME
from aegis_tui.ports.tree_watch import FileChange

ROUND_S = 300.0
"""Within this time the scans read every file once, even if it looks unchanged, in seconds."""

RETRY_S = 0.5
MAX_FILLING_S = 60.0
"""After this time, a worktree that is still incomplete counts as complete, in seconds."""

_PART_BYTES = 64 << 20
_FILL_FILES = 200
_FILL_BYTES = 8 << 20


class WatchedTree:
    """One watched worktree. All methods but `note` block and run in one thread; the observer calls `note`."""

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.root = root
        self.git = GitWrites(root)
        self.index = TreeIndex(name, root)
        self.watch: ObservedWatch | None = None
        self.must_scan = False
        self.scanned_at = 0.0
        """When the watcher last scanned it, on the event loop's clock."""
        self.is_incomplete = False
        """The negated result of the last `look_whole`."""
        self.retry_s = RETRY_S
        """How long to wait before the next attempt after git failed, in seconds."""
        self._mark: Path | None = None
        self._incomplete_since = 0.0
        self._raw: deque[tuple[str, str, int]] = deque()
        self._touched: dict[str, int] = {}
        self._moved: set[str] = set()

    @property
    def is_touched(self) -> bool:
        """Whether there are events to process."""
        return bool(self._raw or self._touched or self.must_scan)

    def note(self, source: str, target: str = "") -> None:
        """Record a kernel event for the file at `source`, or for its rename to `target`; may be called in any thread.

        Paths outside the worktree, and in folders that are never watched such as `.git`, have no effect on `changes`.

        Args:
            source: An absolute path.
            target: An absolute path; empty if the event is no rename.
        """
        self._raw.append((source, target, time.time_ns()))

    def learn(self) -> None:
        """Record the current state of the files, with which later calls compare; no change is reported.

        Raises:
            GitError: The root is not a worktree.
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        self.index.learn(list_contents(self.root, is_whole=not self.is_incomplete))

    def look_whole(self) -> bool:
        """Return whether all files of the worktree's commit are there; until then, the tree is not watched.

        The program adds the files of a new, large worktree in the background. A worktree that is still incomplete after
        a minute counts as complete.

        Raises:
            GitError: The root is not a worktree.
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        if self._mark is None:
            self._mark = git_folder(self.root) / FILLING_NAME
            self._incomplete_since = time.monotonic()
        is_late = time.monotonic() - self._incomplete_since > MAX_FILLING_S
        self.is_incomplete = not is_late and self._mark.exists()
        return not self.is_incomplete

    def learn_added(self) -> None:
        """Record the files that were added while the worktree was incomplete; `changes` then finds all other changes.

        Raises:
            GitError: git failed in the worktree.
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        self.must_scan = True
        listed = list_contents(self.root)
        there = {item.path for item in listed}
        doubtful = [path for path, oid in listed if oid is None]
        doubtful += [path for path in self.index.paths() if path not in there]
        doubtful += self.index.learn_new(listed)
        self.must_scan = False  # to look at a few files is enough
        now_ns = time.time_ns()
        for path in doubtful:
            self._touched.setdefault(path, now_ns)

    def fill(self) -> bool:
        """Read some of the files whose content git does not know; return whether more are left.

        At most 200 files or about 8 MiB. Raises nothing; a file that cannot be read is later judged by size and times.
        """
        return self.index.read_some(files=_FILL_FILES, size_bytes=_FILL_BYTES)

    def changes(self) -> list[FileChange]:
        """Return what changed at the paths of events since the last call; empty while the worktree's folder is gone.

        Files that git ignores are left out, and so are those behind a link or in another repository, unless they were
        known before. After an error, the next call examines the same paths again.

        Raises:
            GitError: git failed in the worktree.
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        self._take()
        if not self._touched or not self.root.is_dir():
            self._forget_touched()
            return []
        folders = Folders(self.root)
        behind = {path for path in self._touched if folders.is_behind_link(path)}
        foreign = {path for path in self._touched if path not in behind and folders.is_foreign(path)}
        ignored = ignored_by_git(self.root, [path for path in self._touched if path not in behind | foreign])
        wanted = [path for path in self._touched if path in self.index or path not in behind | foreign | ignored]
        wanted = [path for path in wanted if path not in ignored]
        changes = self.index.compare(wanted, moved=frozenset(self._moved))
        changes = [
            replace(change, changed_ns=_earlier(change.changed_ns, self._touched[change.path])) for change in changes
        ]
        self._forget_touched()
        return changes

    def scan(self, period_s: float) -> list[FileChange]:
        """Compare the whole tree by size and times, and a part of it by content; return the changes.

        Empty while the worktree's folder is gone.

        Args:
            period_s: Seconds since the last scan; the longer, the larger the part.

        Raises:
            GitError: git failed in the worktree.
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        self.must_scan = False
        if not self.root.is_dir():
            return []
        try:
            listed = list_files(self.root)
            part = math.ceil(len(listed) * min(period_s / ROUND_S, 1.0))
            return self.index.compare_all(listed, read_files=part, read_bytes=_PART_BYTES)
        except BaseException:
            self.must_scan = True
            raise

    def made_by_git(self, changes: Iterable[FileChange]) -> frozenset[str]:
        """Return the paths of those changes that git itself made, by a checkout or merge for example; may be empty.

        May wait 0.3 s for a git command that is under way.

        Raises:
            GitError: git failed in the worktree.
            GitUnavailable: git or the folder is missing, or git does not answer.
        """
        return self.git.pick(changes)

    def _take(self) -> None:
        while self._raw:
            source, target, seen_ns = self._raw.popleft()
            for full in filter(None, (source, target)):
                if (path := self._relative(full)) is not None:
                    self._touched.setdefault(path, seen_ns)
                    if full == target:
                        self._moved.add(path)

    def _forget_touched(self) -> None:
        self._touched.clear()
        self._moved.clear()

    def _relative(self, full: str) -> str | None:
        try:
            path = Path(full).relative_to(self.root).as_posix()
        except ValueError:
            return None
        return None if path == "." or is_ignored_name(path) else path


def _earlier(changed_ns: int, seen_ns: int) -> int:
    return min(changed_ns or seen_ns, seen_ns)
