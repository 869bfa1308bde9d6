"""Keeps the files of a worktree that nobody could change, for the next worktree of a large repository (PERF-6).

To switch such files to another commit takes as long as the commits differ; a new checkout writes every file.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from functools import partial
from pathlib import Path

from aegis_tui.adapters.git.admin import RECORD_NAME
from aegis_tui.adapters.git.lay_by import lay_by, stamp_of, take_up
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.settings import GitSettings
from aegis_tui.adapters.git.spare import CHECKOUT_DEADLINE_S, WHOLE, Checkouts, Spare, discard, new_spare
from aegis_tui.adapters.git.wash import LIST_ENTRIES, STRICT, has_plain_folders, wash
from aegis_tui.errors import AegisError, GitError
from aegis_tui.sdk.untrusted_folder import UntrustedFolder

_log = logging.getLogger(__name__)

MOST_KEPT = 2


class Pool:
    """The kept checkouts of one repository.

    Args:
        runner: Runs git in the common folder.
        checkouts: Makes and switches checkouts.
        settings: The settings of git, on which the content of files depends.
    """

    def __init__(self, runner: GitRunner, checkouts: Checkouts, settings: GitSettings) -> None:
        self._runner, self._checkouts, self._settings = runner, checkouts, settings
        self._kept: list[Spare] = []
        self._begun: asyncio.Task[None] | None = None
        self._place: tuple[Path, str | None] | None = None
        """Where `begin` makes checkouts, and what their content depends on besides the commit (`lay_by.stamp_of`)."""
        self._washing: set[asyncio.Task[None]] = set()

    def begin(self, parent: Path, commit: str) -> None:
        """Begin to make, in the background, the checkout that the next `take` returns; return at once.

        Nothing is made of a small repository, nor if one is kept or begun already. A failure is only logged.

        Args:
            parent: The folder in which it is made.
            commit: A commit of the person.
        """
        if not self._kept and not self._washing and (self._begun is None or self._begun.done()):
            self._begun = asyncio.create_task(self._begin(parent, commit), name="a checkout for checks")

    async def _begin(self, parent: Path, commit: str) -> None:
        try:
            if await self._checkouts.is_large(commit):
                listed = await self._settings.list_all()
                self._place = parent, await asyncio.to_thread(stamp_of, listed, self._runner.git_dir or parent)
                async with self._checkouts.turn:
                    earlier = await self._taken_up(parent, commit)
                    self._kept.append(earlier or await self._checkouts.make(parent, commit, is_ahead=True))
        except (AegisError, OSError) as error:
            _log.warning("no checkout was prepared in advance: %s", error)

    async def _taken_up(self, parent: Path, commit: str) -> Spare | None:
        """Return the checkout that an earlier run has left, switched to a commit; None without a usable one."""
        earlier, is_usable = await asyncio.to_thread(take_up, parent, self._place[1] if self._place else None)
        if earlier is None:
            return None
        try:
            if is_usable and await self._is_as_checked_out(earlier.tree, earlier.index):
                return await self._switched(earlier, commit)
        except BaseException:
            discard(earlier)
            raise
        discard(earlier)
        return None

    async def ready(self) -> None:
        """Return when what was begun is made or given up, and the files of ended checks are ready or given up.

        At once if there is neither.
        """
        if under_way := {*self._washing, *([self._begun] if self._begun else [])}:
            await asyncio.wait(under_way)

    async def take(self, parent: Path, commit: str) -> Spare:
        """Return a complete checkout of a commit: a kept one, switched to it, or a new one in a folder inside `parent`.

        Raises:
            GitError: git fails.
            OSError: A folder cannot be created.
        """
        await self.ready()
        if kept := await self.take_kept(parent, commit):
            return kept
        async with self._checkouts.turn:
            return await self._checkouts.make(parent, commit)

    async def take_kept(self, parent: Path, commit: str, *, for_checks: bool = True) -> Spare | None:
        """Return a kept checkout, switched to a commit; it is kept no longer.

        Kept ones on another file system than `parent`, and those that cannot be switched, are deleted. None if no other
        is left.

        Args:
            parent: The folder of the worktree that gets it.
            commit: The commit.
            for_checks: If not, the last one is left for the checks for which `begin` was called.

        Raises:
            OSError: The folder `parent` cannot be created.
        """
        while len(self._kept) > (0 if for_checks or self._begun is None else 1):
            spare = self._kept.pop()
            if not await asyncio.to_thread(_is_near, spare, parent):
                discard(spare)
                continue
            if switched := await self._switched(spare, commit):
                return switched
        return None

    async def _switched(self, spare: Spare, commit: str) -> Spare | None:
        """Return a spare checkout switched to a commit; None, with the spare renamed and deleted, if that fails."""
        try:
            return await self._checkouts.switch(spare, commit)
        except (AegisError, OSError) as error:
            discard(spare)
            _log.warning("a kept checkout cannot be used: %s", error)
        except BaseException:
            discard(spare)
            raise
        return None

    async def keep(self, path: Path, admin: Path, base: str) -> bool:
        """Keep the files of a worktree that is being removed; return False if that is not done.

        It is not done, and nothing is changed, if a file is not as it was checked out, or if two are kept already.
        True says that the files were moved away: they are switched to `base`, and deleted if that fails.

        Args:
            path: The worktree; nothing runs in it any longer.
            admin: Its folder in the common git folder, whose index only this program has written.
            base: A commit of the person.

        Raises:
            GitError: git fails; nothing is changed.
            OSError: A folder cannot be moved.
        """
        if len(self._kept) >= MOST_KEPT or not await self._is_as_checked_out(path, admin / "index"):
            return False
        env = {"GIT_INDEX_FILE": str(admin / "index")}
        tree = (await self._runner.run("write-tree", env=env)).text
        spare = new_spare(path.parent, tree)
        await asyncio.to_thread(_take_out, path, admin, spare)
        if switched := await self._switched(spare, base):
            self._kept.append(switched)
        return True

    async def keep_used(self, path: Path, admin: Path, commit: str) -> bool:
        """Keep the files of a worktree for checks that is being removed; return False if that is not done.

        It is not done if the repository is small, if two are kept already, or if they cannot be moved. True says that
        the files were moved away. In the background they are restored to those of a commit of the person, or deleted
        if that fails; a failure is logged.

        Args:
            path: The worktree. Its tests, which may be an agent's, ran in a sandbox, and nothing runs in it any longer.
            admin: Its folder in the common git folder, whose index only this program has written.
            commit: The commit that was checked.

        Raises:
            GitError: There is no such commit, or git fails.
        """
        if len(self._kept) + len(self._washing) >= MOST_KEPT or not await self._checkouts.is_large(commit):
            return False
        spare = new_spare(path.parent, commit)
        try:
            since_ns = (admin / RECORD_NAME).stat().st_mtime_ns  # written after the checkout
            await asyncio.to_thread(_take_out, path, admin, spare)
        except OSError as error:
            discard(spare)
            _log.warning("the checkout of a check is not kept for reuse: %s", error)
            return False
        task = asyncio.create_task(self._restore(spare, since_ns), name="the checkout of a check")
        self._washing.add(task)
        task.add_done_callback(partial(self._washed, spare))
        return True

    async def _restore(self, spare: Spare, since_ns: int) -> None:
        try:
            base = await self._checkouts.filters.persons_base(spare.commit)
            is_ready = base == spare.commit and await self._is_as_checked_out(spare.tree, spare.index)
            if not is_ready and not await self._checkouts.filters.off():
                is_ready = await wash(self._runner, spare.tree, spare.index, since_ns=since_ns)
            if base is not None and is_ready and (switched := await self._switched(spare, base)):
                self._kept.append(switched)
                return
        except (AegisError, OSError) as error:
            _log.warning("the checkout of a check is not kept for reuse: %s", error)
        discard(spare)

    def _washed(self, spare: Spare, task: asyncio.Task[None]) -> None:
        self._washing.discard(task)
        if task.cancelled():  # perhaps before it began
            discard(spare)

    async def _is_as_checked_out(self, path: Path, index: Path) -> bool:
        git = partial(
            self._runner.run,
            work_tree=path,
            env={**await self._checkouts.filters.off(), "GIT_INDEX_FILE": str(index)},
            deadline_s=CHECKOUT_DEADLINE_S,
        )
        try:
            others = await git(*WHOLE, "ls-files", "--others", "--directory", "-z")
            # No git is started in a submodule, whose settings could name programs.
            changed = await git(*WHOLE, *STRICT, "diff-files", "--quiet", "--ignore-submodules=all", ok=(0, 1))
            if others.stdout or changed.code != 0:
                return False
            listed = (await git(*WHOLE, *LIST_ENTRIES)).fields()
            return await asyncio.to_thread(has_plain_folders, path, listed)
        except (GitError, OSError):
            return False

    def clear(self) -> None:
        """Keep none any longer, and make none; one stays on disk for a later run.

        The others are renamed, and deleted in a thread.
        """
        for task in (*self._washing, *([self._begun] if self._begun else [])):
            task.cancel()
        parent, stamp = self._place or (Path(), None)
        while self._kept:
            spare = self._kept.pop()
            if stamp is None or not lay_by(spare, parent, stamp):
                discard(spare)


def _is_near(spare: Spare, parent: Path) -> bool:
    parent.mkdir(parents=True, exist_ok=True)
    return spare.folder.stat().st_dev == parent.stat().st_dev


def _take_out(path: Path, admin: Path, spare: Spare) -> None:
    """Move the files of a worktree, without its `.git` file, into a spare checkout, and copy its index there; blocking.

    Nothing is left at `path`.

    Raises:
        OSError: A folder cannot be created or moved.
    """
    spare.folder.mkdir()
    path.rename(spare.tree)
    with UntrustedFolder(spare.tree) as opened:
        opened.remove(".git")
    shutil.copy2(admin / "index", spare.index)
