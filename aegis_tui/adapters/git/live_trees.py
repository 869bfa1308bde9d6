"""The present content of worktrees, uncommitted work included, and how two of them would merge (GIT-2).

A snapshot starts no git process: the files that changed are read, and the trees above them are written, in a repository
of the hub's own that borrows the objects of the person's (`ObjectStore`). In that repository there are no settings,
hooks, filters and merge drivers, neither the person's nor an agent's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aegis_tui.adapters.git.admin import AdminFolders
from aegis_tui.adapters.git.folder import scratch_folder
from aegis_tui.adapters.git.live_merge import LiveMerges
from aegis_tui.adapters.git.live_structure import LiveStructure
from aegis_tui.adapters.git.merge_process import MergeProcess
from aegis_tui.adapters.git.object_store import NO_SETTINGS, ObjectStore
from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.private import OwnGit
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.tree_change import compare_trees, find_entry, with_changes
from aegis_tui.adapters.git.tree_object import SUBMODULE, TreeEntry
from aegis_tui.adapters.git.worktree_reading import MAX_FILE_BYTES, FileNow, FileRules, may_be_stored, read_file_now
from aegis_tui.domain.path.file_name import name_of
from aegis_tui.errors import GitError
from aegis_tui.ports.merge import MergePreview
from aegis_tui.sdk.untrusted_folder import UntrustedFolder
from aegis_tui.sdk.whole import whole_in_thread

logger = logging.getLogger(__name__)

MAX_STORED_BYTES = 512 << 20
"""After this many bytes all that was stored is deleted, and the changed files are read again."""

MAX_BUSY_S = 30.0
"""How long to wait for a git command in a worktree, for example a rebase that stopped, in seconds."""

_BUSY = ("index.lock", "rebase-merge", "rebase-apply", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD")
_MAX_LISTED_BYTES = 32 << 20


@dataclass(slots=True)
class _KnownWorktree:
    """The content of one worktree as it was read last, and what has to be read again."""

    root: Path
    inode: int
    """Of `root`, so that another folder in its place is noticed."""
    admin: Path | None
    """The worktree's own git folder; None if it has none."""
    head: str
    """The commit that was checked out when it was read."""
    tree: str | None
    """The id of the tree with its content; None if it has no file."""
    unread: set[bytes] = field(default_factory=set)
    """The paths that may have changed since, relative to `root`."""
    commit: str = ""
    """The id of the snapshot of `tree` on `head`; empty before the first."""
    busy_since: float | None = None
    """When git was first seen to work in it, by the monotonic clock; None if it does not."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """The hub's own repository and what is read from the person's settings."""

    store: ObjectStore
    runner: GitRunner
    merges: LiveMerges
    rules: FileRules
    excludes: tuple[str, ...]


class GitLiveTrees:
    """Implements `LiveTrees` for the repository with this common git folder.

    Args:
        common_dir: The git folder that all worktrees share.
    """

    def __init__(self, common_dir: Path) -> None:
        self._common_dir = common_dir
        self._persons = GitRunner(git_dir=common_dir, cwd=common_dir)
        self._admins = AdminFolders(common_dir)
        self._process = MergeProcess()
        self._lock = asyncio.Lock()
        self._folder = contextlib.ExitStack()
        self._opened: _Opened | None = None
        self._worktrees: dict[Path, _KnownWorktree] = {}

    async def look(self, root: Path, head: str, paths: Iterable[str], *, whole: bool = False) -> str | None:
        """Return the id of a commit of a worktree's present content; see `LiveTrees.look`."""
        async with self._lock:
            opened = await self._open(len(head) // 2)
            known = self._worktrees.get(root) or await whole_in_thread(self._begin, opened.store, root, head)
            if known is None:
                return None
            self._worktrees[root] = known
            names = (os.fsencode(name_of(path)) for path in paths)
            known.unread.update(name for name in names if may_be_stored(name))
            if whole:
                known.unread |= await self._find_changed(opened, known)
            commit = await whole_in_thread(_look, opened, known, head)
            if commit is None and not await whole_in_thread(_is_there, known):
                del self._worktrees[root]
            return commit

    async def compare(self, pairs: Sequence[tuple[str, str]], merged: str | None = None) -> list[MergePreview | None]:
        """Return what merging each pair would give; see `LiveTrees.compare`."""
        if not pairs:
            return []
        async with self._lock:
            opened = await self._open(len(pairs[0][0]) // 2)
            return await opened.merges.compare(pairs, merged)

    async def judge(self) -> bool:
        """Check what `compare` took from git without a check; see `LiveTrees.judge`."""
        async with self._lock:
            return self._opened is not None and await self._opened.merges.judge()

    async def forget(self, root: Path) -> None:
        """Drop what is known about a worktree; no effect if nothing is."""
        self._worktrees.pop(root, None)

    async def close(self) -> None:
        """End git's processes, and delete what was stored; a later call starts anew."""
        async with self._lock:
            self._worktrees.clear()
            await self._process.close()
            await self._close_store()

    async def _close_store(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await whole_in_thread(opened.store.close)
        await whole_in_thread(self._folder.close)

    async def _open(self, oid_bytes: int) -> _Opened:
        """Return the hub's own repository, which is created if there is none, or the present one is full.

        Raises:
            GitError: The person's settings cannot be read.
            OSError: The folder cannot be written.
        """
        if self._opened is not None and self._opened.store.written < MAX_STORED_BYTES:
            return self._opened
        if self._opened is not None:
            await whole_in_thread(_begin_again, self._opened.store, list(self._worktrees.values()))
            await self._close_store()
        folder = self._folder.enter_context(scratch_folder())
        store = await whole_in_thread(ObjectStore, folder, self._common_dir, oid_bytes)
        runner = GitRunner(git_dir=store.git_dir, cwd=folder)
        await self._process.start()
        merges = LiveMerges(store, runner, Objects(self._persons), LiveStructure(store, self._process))
        self._opened = _Opened(store, runner, merges, await self._file_rules(), await self._excludes())
        return self._opened

    async def _file_rules(self) -> FileRules:
        settings = await self._persons.run("config", "-z", "--get-regexp", r"^core\.(autocrlf|filemode)$", ok=(0, 1))
        values = dict(entry.partition("\n")[::2] for entry in settings.fields())
        return FileRules(
            has_modes=values.get("core.filemode", "true").lower() not in ("false", "no", "off", "0"),
            converts_line_ends=values.get("core.autocrlf", "false").lower() not in ("false", "no", "off", "0"),
        )

    async def _excludes(self) -> tuple[str, ...]:
        named = (await self._persons.run("config", "--type=path", "--get", "core.excludesFile", ok=(0, 1, 128))).text
        return ("-c", f"core.excludesFile={named}") if named.startswith("/") else ()

    def _begin(self, store: ObjectStore, root: Path, head: str) -> _KnownWorktree | None:
        try:
            inode = root.lstat().st_ino
        except OSError:
            return None
        return _KnownWorktree(root, inode, self._admins.find(root), head, store.commit(head).tree)

    async def _find_changed(self, opened: _Opened, known: _KnownWorktree) -> set[bytes]:
        """Return the paths that differ from the worktree's index by size or times, and those that it does not have.

        Empty, with a warning in the log, if the index cannot be read or git fails.
        """
        with scratch_folder() as folder:
            index = folder / "index"
            try:
                if known.admin is None or not await whole_in_thread(_copy_index, known.admin, index):
                    return set()
                listed = await opened.runner.run(
                    *(*opened.excludes, "ls-files", "-z", "--modified", "--others", "--exclude-standard"),
                    work_tree=known.root,
                    env={**NO_SETTINGS, "GIT_INDEX_FILE": str(index)},
                    output_bytes=_MAX_LISTED_BYTES,
                )
            except (GitError, OSError) as error:
                logger.warning("a worktree was not searched", extra={"aegis_path": str(known.root), "why": str(error)})
                return set()
        return {path for path in listed.stdout.split(b"\0") if may_be_stored(path)}


def _copy_index(admin: Path, target: Path) -> bool:
    return OwnGit.of(admin).copy_index(target)


def _begin_again(store: ObjectStore, worktrees: Iterable[_KnownWorktree]) -> None:
    """Let all that differs from the heads of the worktrees be read again, because their trees are about to be deleted.

    Raises:
        GitError: A tree is missing, or there are too many differences.
    """
    for known in worktrees:
        head = store.commit(known.head).tree
        known.unread |= compare_trees(store, head, known.tree).paths
        known.tree, known.commit = head, ""


def _look(opened: _Opened, known: _KnownWorktree, head: str) -> str | None:
    """Return the id of a commit of a worktree's content; None if it is gone, or git works in it. Blocking."""
    if known.commit and head == known.head and not known.unread:
        return known.commit
    if _is_busy(known, head):
        return None
    store = opened.store
    if head != known.head:
        known.unread |= compare_trees(store, store.commit(head).tree, known.tree).paths
    changes = _read_all(opened, known)
    if changes is None:
        return None
    known.tree = with_changes(store, known.tree, changes)
    known.unread.clear()
    known.head = head
    known.commit = store.write_snapshot(known.tree or store.write_tree({}), head)
    return known.commit


def _is_busy(known: _KnownWorktree, head: str) -> bool:
    """Return whether git works in the worktree, has stopped in the middle of a command, or has moved HEAD on.

    A worktree that is rebased holds what others have merged; with its former head as parent it would seem to have
    changed all that itself. After 30 s it is no longer waited for.
    """
    own = OwnGit.of(known.admin) if known.admin is not None else None
    is_calm = own is None or (own.logged_head() in (None, head) and all(own.status(name) is None for name in _BUSY))
    if is_calm:
        known.busy_since = None
        return False
    now = time.monotonic()
    known.busy_since = known.busy_since or now
    return now - known.busy_since < MAX_BUSY_S


def _read_all(opened: _Opened, known: _KnownWorktree) -> dict[bytes, TreeEntry | None] | None:
    """Read the unread paths and store the files; return the entries of a tree, None for a path without a file.

    None instead if the worktree is gone, or was replaced meanwhile.
    """
    changes: dict[bytes, TreeEntry | None] = {}
    try:
        with UntrustedFolder(known.root) as folder:
            for path in sorted(known.unread):
                was = find_entry(opened.store, known.tree, path)
                if was is not None and was.mode == SUBMODULE:
                    continue
                now = read_file_now(folder, path)
                changes[path] = None if now is None else _stored(opened, was, now)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return changes if _is_there(known) else None


def _is_there(known: _KnownWorktree) -> bool:
    """Return whether the folder of the worktree is still the one that it was at first; blocking."""
    try:
        return known.root.lstat().st_ino == known.inode
    except OSError:
        return False


def _stored(opened: _Opened, was: TreeEntry | None, now: FileNow) -> TreeEntry:
    def stored() -> bytes | None:
        answer = opened.store.read(was.oid, limit=MAX_FILE_BYTES) if was is not None else None
        return answer[1] if answer is not None else None

    mode, content = opened.rules.as_stored(now, was.mode if was is not None else None, stored)
    return TreeEntry(mode, opened.store.write("blob", content))
