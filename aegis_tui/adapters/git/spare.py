"""Complete checkouts that stand ready, or are made beside an agent at work, and become a worktree's files by renaming.

A checkout of a large repository takes seconds, a rename none. Each is a folder with two entries: `tree`, the files, and
`index`, git's index with their times.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from aegis_tui.adapters.git.filters import Filters
from aegis_tui.adapters.git.folder import begin_to_delete_trash, is_alive, put_aside
from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.run import GitRunner, joined
from aegis_tui.adapters.git.settings import attribute_files
from aegis_tui.errors import GitError
from aegis_tui.sdk.untrusted_folder import read_file

_log = logging.getLogger(__name__)

CHECKOUT_DEADLINE_S = 600.0

LARGE_FILES = 3_000
"""With more files, a worktree is usable before it is complete, and its files are used again."""

WHOLE = ("-c", "core.sparseCheckout=false", "-c", "index.sparse=false")
"""Agents and QA get the whole tree, even if the person's checkout is sparse."""

CONE = ("-c", "core.sparseCheckout=true", "-c", "core.sparseCheckoutCone=true", "-c", "index.sparse=false")

_FILTER = "filter="
_ASK_FOR_FILTERS = ("grep", "--quiet", "-e", _FILTER)
_ATTRIBUTES = ":(top,glob)**/.gitattributes"
_ATTRIBUTES_BYTES = 1 << 20

_FAST_CHECKOUT = (
    "-c",
    f"checkout.workers={min(4, os.cpu_count() or 1)}",
    "-c",
    "checkout.thresholdForParallelism=200",
)
_MISSING = "S "
"""How `git ls-files -t` marks a file with the skip-worktree bit."""

_PREFIX = ".aegis-spare-"
_NAME = re.compile(re.escape(_PREFIX) + r"(\d+)-\w+")


@dataclass(frozen=True, slots=True)
class Spare:
    """One complete checkout of a commit, or what `Checkouts.make_rest` leaves of one: the files that were missing."""

    folder: Path
    """Holds `tree` and `index`. What a killed process left of it is deleted when the next one is made there."""
    commit: str
    """The id of the commit, or of a tree, that was checked out."""

    @property
    def tree(self) -> Path:
        """The folder with the checked-out files; it has no `.git`."""
        return self.folder / "tree"

    @property
    def index(self) -> Path:
        """The index that git wrote with the files: it has every file of the commit, and their times on disk."""
        return self.folder / "index"


class Checkouts:
    """Checks commits out. Methods raise `GitError` if git fails, `GitUnavailable` if it cannot be started.

    Args:
        runner: Runs git in the common folder.
        objects: Reads the repository.
    """

    def __init__(self, runner: GitRunner, objects: Objects) -> None:
        self._runner = runner
        self._behind = runner.in_background()
        self._objects = objects
        self.filters = Filters(runner, objects)
        self.turn = asyncio.Lock()
        """Held while many files are written: two checkouts at once are both ready only when the second one is."""

    async def is_large(self, commit: str) -> bool:
        """Return whether a commit has more than 3,000 files and submodules.

        Raises:
            GitError: There is no such commit, or git fails.
        """
        return await self._objects.has_more(await self._objects.tree_of(commit), LARGE_FILES)

    async def write(
        self, commit: str, *, runner: GitRunner, path: Path, index: Path, how: tuple[str, ...] = WHOLE
    ) -> None:
        """Check a commit out into a new folder with a new index.

        An agent's commit is checked out over the person's commit that it is based on, with all filters switched off, so
        that no program is started for content that an agent wrote.

        Args:
            commit: The commit, or the branch that points to it.
            runner: Runs git; only git has written to its folder.
            path: The folder.
            index: The index file.
            how: Options of git that say which files are wanted: `WHOLE` or `CONE`.

        Raises:
            GitError: There is no such commit, or git fails; files may be there already.
        """
        off = await self.filters.off()
        base = await self.filters.persons_base(commit) if off else None
        if not off or base is None or base == await self._objects.resolve(commit):
            await self._read_tree(runner, path, index, how, "--reset", commit, env=off if base is None else {})
        else:
            await self._read_tree(runner, path, index, how, "--reset", base, env={})
            await asyncio.to_thread(_trust_times, index)
            await self._read_tree(runner, path, index, how, "-m", base, commit, env=off)
        if off:
            await asyncio.to_thread(_trust_times, index)
            if await self._names_filters(commit):
                await _next_second()

    async def _names_filters(self, commit: str) -> bool:
        """Return whether attributes, in a commit or outside, name a filter for any files."""
        if (await self._runner.run(*_ASK_FOR_FILTERS, commit, "--", _ATTRIBUTES, ok=(0, 1))).code == 0:
            return True
        outside = attribute_files(await self._objects.settings.list_all(), self._runner.git_dir)
        contents = await asyncio.to_thread(lambda: [read_file(place, limit=_ATTRIBUTES_BYTES) for place in outside])
        return any(_FILTER.encode() in content for content in contents if content)

    async def _read_tree(
        self, runner: GitRunner, path: Path, index: Path, how: tuple[str, ...], *args: str, env: Mapping[str, str]
    ) -> None:
        await runner.run(
            *(*_FAST_CHECKOUT, *how, "read-tree", "-u", *args),
            work_tree=path,
            env={**env, "GIT_INDEX_FILE": str(index)},
            deadline_s=CHECKOUT_DEADLINE_S,
        )

    async def make(self, parent: Path, commit: str, *, is_ahead: bool = False) -> Spare:
        """Make a complete checkout of a commit in a new folder inside `parent`; the caller holds the lock `turn`.

        Args:
            parent: The folder.
            commit: The commit.
            is_ahead: Whether nobody waits for it yet: other processes then go first.

        Raises:
            GitError: git fails; nothing is left.
            OSError: A folder cannot be created; nothing is left.
        """
        oid = await self._objects.resolve(commit) or commit
        async with _new(parent, oid) as spare:
            runner = self._behind if is_ahead else self._runner
            await self.write(oid, runner=runner, path=spare.tree, index=spare.index)
        return spare

    async def make_rest(self, parent: Path, commit: str, index: Path, *, is_ahead: bool) -> Spare:
        """Check out the files that are missing in a worktree, in a new folder inside `parent`; the caller holds `turn`.

        They are those that have the skip-worktree bit in its index. In the index of the result no file has that bit,
        and the files that the worktree has keep their times.

        Args:
            parent: The folder.
            commit: The commit that the worktree was created with.
            index: The index of the worktree.
            is_ahead: Whether nobody waits for it yet: other processes then go first.

        Raises:
            GitError: git fails; nothing is left.
            OSError: A folder or file cannot be created; nothing is left.
        """
        async with _new(parent, commit) as spare:
            await asyncio.to_thread(shutil.copy2, index, spare.index)
            await self._write_missing(spare, commit, self._behind if is_ahead else self._runner)
        return spare

    async def _write_missing(self, spare: Spare, commit: str, runner: GitRunner) -> None:
        missing = await self.missing_in(spare.index)
        off = await self.filters.off()
        base = await self.filters.persons_base(commit) if off else None
        changed: set[str] = set()
        if base is not None and base != commit:
            changed.update((await self._runner.run("diff-tree", "-r", "-z", "--name-only", base, commit)).fields())
        elif off and base is None:
            changed.update(missing)
        checkout = (
            *_FAST_CHECKOUT,
            *WHOLE,
            "checkout-index",
            "-q",
            "-u",
            "-z",
            "--stdin",
            "--ignore-skip-worktree-bits",
        )
        steps: tuple[tuple[list[str], Mapping[str, str]], ...] = (
            ([name for name in missing if name not in changed], {}),
            ([name for name in missing if name in changed], off),
        )
        git = partial(runner.run, work_tree=spare.tree, deadline_s=CHECKOUT_DEADLINE_S)
        for names, env in steps:
            if names:
                await git(*checkout, stdin=joined(names), env={**env, "GIT_INDEX_FILE": str(spare.index)})
            if off:
                await asyncio.to_thread(_trust_times, spare.index)
        await _next_second()
        await self.mark_present(spare.index, missing, work_tree=spare.tree)
        # With the ids of all folders in the index, the next commit writes the changed ones only.
        await self._runner.run("write-tree", "--missing-ok", env={"GIT_INDEX_FILE": str(spare.index)})
        if off:
            await asyncio.to_thread(_trust_times, spare.index)

    async def missing_in(self, index: Path) -> list[str]:
        """Return the files that have the skip-worktree bit in an index, in its order; empty if none has.

        Raises:
            GitError: The index is damaged, or git fails.
        """
        listed = await self._runner.run(*WHOLE, "ls-files", "-t", "-z", env={"GIT_INDEX_FILE": str(index)})
        return [item.removeprefix(_MISSING) for item in listed.fields() if item.startswith(_MISSING)]

    async def mark_present(self, index: Path, names: Iterable[str], *, work_tree: Path) -> None:
        """Clear the skip-worktree bit of files in an index.

        Args:
            index: The index.
            names: The files.
            work_tree: A folder that no agent can write, with these files or without: git asks for one, and a bare
                repository has none of its own.

        Raises:
            GitError: The index is damaged, or git fails.
        """
        clear = (*WHOLE, "update-index", "--no-skip-worktree", "-z", "--stdin")
        env = {"GIT_INDEX_FILE": str(index)}
        await self._runner.run(
            *clear, work_tree=work_tree, env=env, stdin=joined(names), deadline_s=CHECKOUT_DEADLINE_S
        )

    async def switch(self, spare: Spare, commit: str) -> Spare:
        """Switch a spare checkout to another commit, as `write` would check it out; the one that was given is used up.

        Args:
            spare: Of a commit of the person, or of one that is based on `commit`, which then is one of the person.
            commit: The commit.

        Returns:
            The switched spare: the same folder, with the new commit's id.

        Raises:
            GitError: There is no such commit, git fails, or the two differ in their attributes, on which the content
                of files depends that are the same in both; the spare is then of no use.
        """
        oid = await self._objects.resolve(commit) or commit
        changed = (await self._runner.run("diff-tree", "-r", "-z", "--name-only", spare.commit, oid)).fields()
        if any(path.rpartition("/")[2] == ".gitattributes" for path in changed):
            raise GitError("the commits differ in a file .gitattributes")
        off = await self.filters.off()
        base = await self.filters.persons_base(oid) if off else None
        env: Mapping[str, str] = off if off and base != oid else {}
        tree = partial(self._read_tree, self._runner, spare.tree, spare.index, WHOLE, "-m")
        at = spare.commit
        if env and base is not None and base != at:
            await tree(at, base, env={})
            at = base
        if at != oid:
            await tree(at, oid, env=env)
        return replace(spare, commit=oid)


def new_spare(parent: Path, commit: str) -> Spare:
    """Return a spare checkout whose folder does not exist yet; our pid in its name is for `discard_of_the_dead`."""
    return Spare(parent / f"{_PREFIX}{os.getpid()}-{uuid.uuid4().hex[:12]}", commit)


@contextlib.asynccontextmanager
async def _new(parent: Path, commit: str) -> AsyncIterator[Spare]:
    """Yield a spare checkout with an empty folder `tree`, to be filled; it is discarded if that fails.

    Raises:
        OSError: A folder cannot be created; nothing is left.
    """
    spare = new_spare(parent, commit)
    try:
        await asyncio.to_thread(discard_of_the_dead, parent)
        await asyncio.to_thread(spare.tree.mkdir, parents=True)
        yield spare
    except BaseException:
        discard(spare)
        raise


def discard(spare: Spare) -> None:
    """Rename a spare checkout, and begin to delete it in a thread; do nothing if it is gone or cannot be renamed.

    Call it in a running event loop.
    """
    with contextlib.suppress(OSError):
        put_aside(spare.folder, spare.folder.parent)
        begin_to_delete_trash(spare.folder.parent)


def discard_of_the_dead(parent: Path) -> None:
    """Rename the spare checkouts in a folder whose process has ended, so that `delete_trash` deletes them; blocking.

    Never raises.
    """
    with contextlib.suppress(OSError):
        for path in parent.glob(f"{_PREFIX}*"):
            made_by = _NAME.fullmatch(path.name)
            if made_by and not is_alive(int(made_by[1])):
                put_aside(path, parent)


def place(spare: Spare, path: Path, admin: Path) -> None:
    """Make the files of a spare checkout those of a new worktree that has none, by renaming; blocking.

    Its index becomes the worktree's.

    Args:
        spare: It is gone afterwards; on the same file system as the worktree.
        path: The worktree: a folder with nothing but git's file `.git`.
        admin: The worktree's own git folder.

    Raises:
        OSError: A file or folder cannot be moved.
    """
    (path / ".git").rename(spare.tree / ".git")
    path.rmdir()
    spare.tree.rename(path)
    install_index(spare.index, admin)
    shutil.rmtree(spare.folder, ignore_errors=True)


def install_index(index: Path, admin: Path) -> None:
    """Copy an index with its times to a worktree's git folder, which may be on another file system; blocking.

    Raises:
        OSError: It cannot be written.
    """
    draft = admin / "index.aegis-new"
    shutil.copy2(index, draft)
    draft.replace(admin / "index")


async def _next_second() -> None:
    """Return at the beginning of the next second, so that an index written then is younger than all files.

    `git add` hashes files again that may have changed in the second in which the index was written, and stores them
    again where it cannot tell that the repository has them: in a sandbox, whose repository is read-only. A filter that
    it starts for them there, such as that of Git LFS, fails for the same reason.

    Source: git's technical documentation, racy-git.
    """
    await asyncio.sleep(1.01 - time.time() % 1)


def _trust_times(index: Path) -> None:
    """Set the time of a new index to two seconds from now, so that git does not compare the content of its files.

    Without the filters that wrote the files, it would take them for changed. Raises `OSError` if there is no index.

    Source: git's technical documentation, racy-git.
    """
    later_ns = time.time_ns() + 2_000_000_000
    os.utime(index, ns=(later_ns, later_ns))
