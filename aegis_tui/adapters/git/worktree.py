"""Worktrees: created completely or created again, and removed only after their content is saved (GIT-1).

Operations are serialised per repository: of 16 concurrent `git worktree add` runs, about one in 64 fails.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import weakref
from functools import partial
from pathlib import Path

from aegis_tui.adapters.git import admin as admin_files
from aegis_tui.adapters.git.admin import LOCK_PREFIX, SCRATCH_LOCK, AdminFolders, Record, is_reserved, read_record
from aegis_tui.adapters.git.cone import cone_of, cone_patterns
from aegis_tui.adapters.git.discovery import Discovery
from aegis_tui.adapters.git.filling import PAUSE_S, Filler, is_filling, mark_filling
from aegis_tui.adapters.git.folder import (
    begin_to_delete_trash,
    exists,
    has_content,
    is_folder,
    make_folders,
    make_savable,
    put_aside,
    scratch_folder,
)
from aegis_tui.adapters.git.guard import hooks_of_the_person, write_guard
from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.pool import Pool
from aegis_tui.adapters.git.run import GitRunner, joined
from aegis_tui.adapters.git.snapshot import Snapshots
from aegis_tui.adapters.git.spare import CHECKOUT_DEADLINE_S, CONE, WHOLE, Checkouts, discard, place
from aegis_tui.adapters.git.submodules import Submodules
from aegis_tui.adapters.git.worktree_config import ensure_worktree_config, restore_worktree_config
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.errors import Conflict, GitError, Refused
from aegis_tui.ports.repository import Guard, RescueName, RescueRef, Worktree, WorktreeEntry, WorktreeSpec

logger = logging.getLogger(__name__)

_locks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Path, asyncio.Lock]] = weakref.WeakKeyDictionary()


class Worktrees:
    """Worktrees of one repository. Methods raise `GitError`, `GitUnavailable` (git fails) and `OSError` (file access).

    Args:
        place: The paths of the repository.
        runner: Runs git in its common folder.
        objects: Reads the repository.
        snapshots: Saves content.
    """

    def __init__(self, place: Discovery, runner: GitRunner, objects: Objects, snapshots: Snapshots) -> None:
        self._common_dir = place.common_dir
        self._runner = runner
        self._objects = objects
        self._snapshots = snapshots
        self._checkouts = Checkouts(runner, objects)
        self._filters = self._checkouts.filters
        self.pool = Pool(runner, self._checkouts, objects.settings)
        self.filler = Filler(self._checkouts, self.lock)
        self._submodules = Submodules(place.common_dir, runner)
        self.admins = AdminFolders(place.common_dir)

    async def add(self, spec: WorktreeSpec) -> Worktree:
        """Create the worktree of an instance, with its branch and the hooks that check its commits, and return it.

        One that was created before keeps its work. What is left of one whose creation was interrupted is saved under a
        rescue ref if it may be work. In a large repository, files outside `spec.first` may still be missing; they are
        added in the background.

        Raises:
            Refused: Something that is no worktree of ours is at the path, its work cannot be saved, or a glob of the
                guard is not valid.
            Conflict: Another program is writing the repository's configuration.
        """
        run = spec.branch.split("/")[1]
        async with self.lock():
            for cut_off in self.admins.cut_off():
                self.admins.drop(cut_off)
            admin = self.admins.find_complete(spec.path)
            if admin is None:
                await self._clear(spec.path, RescueName(run, spec.instance), spec.base_oid)
                admin = await self._make(spec)
            admin_files.mend_link(spec.path, admin)
            await self._guard(admin, spec.guard)
            admin_files.write_record(admin, Record(spec.instance, spec.base_oid, spec.branch))
        begin_to_delete_trash(spec.path.parent)
        if is_partial := await asyncio.to_thread(is_filling, admin):
            self.filler.begin(spec.path, admin, pause_s=PAUSE_S if spec.asks or not spec.guard.allow else 0.0)
        return Worktree(spec.path, spec.branch, spec.base_oid, admin, spec.guard.hooks_dir, is_whole=not is_partial)

    async def begin_scratch(self, parent: Path, oid: str) -> None:
        """Begin, in the background, to check out files for `add_scratch`, if the repository is large; see `Pool.begin`.

        The repository's configuration is changed before: a file that must be on the disk before the next step waits for
        all files that are being written then.
        """
        async with self.lock():
            await ensure_worktree_config(self._runner, self._common_dir, self._objects.settings)
        self.pool.begin(parent, oid)

    async def add_scratch(self, path: Path, oid: str) -> Worktree:
        """Create a worktree for checks with a detached HEAD at `oid`; an earlier one for checks at `path` is replaced.

        Its submodules are filled as far as the person has set them up; the result names those that stay empty.

        Raises:
            Refused: Another worktree is at `path`.
            Conflict: Something else is at `path`.
            GitError: There is no such commit, or git fails.
        """
        spare = await self.pool.take(path.parent, oid)  # before the lock is taken: it may take seconds
        try:
            async with self.lock():
                admin = self.admins.find(path)
                if admin is not None:
                    await self._drop_scratch(path, admin)
                elif exists(path):
                    raise Conflict(f"{path} already exists", "move it away", code="worktree.path")
                admin = await self._register(path, oid, ["--detach"], SCRATCH_LOCK)
                await asyncio.to_thread(place, spare, path, admin)
                admin_files.write_record(admin, Record("", oid, None))
                empty = await self._submodules.fill(path, oid)
        finally:
            discard(spare)
        begin_to_delete_trash(path.parent)
        return Worktree(path, None, oid, admin, empty=empty)

    async def restore_scratch(self, scratch: Worktree) -> tuple[str, ...]:
        """Restore the tracked files of a worktree from `add_scratch`; return the written forms of the changed paths.

        Empty if none had changed or was deleted; new files stay. A copy of its index is used, so that a lock left by a
        program that ran there cannot block git. No filter is started.

        Raises:
            GitError: git fails.
            OSError: The index cannot be copied.
        """
        with scratch_folder() as folder:
            index = folder / "index"
            await asyncio.to_thread(shutil.copyfile, scratch.admin_dir / "index", index)
            env = {**await self._filters.off(), "GIT_INDEX_FILE": str(index)}
            git = partial(self._runner.run, work_tree=scratch.path, env=env, deadline_s=CHECKOUT_DEADLINE_S)
            await git(*WHOLE, "update-index", "-q", "--refresh", ok=(0, 1))
            names = (await git("diff-files", "--name-only", "-z", "--ignore-submodules=all")).fields()
            if names:
                await git(*WHOLE, "checkout-index", "-f", "-q", "-z", "--stdin", stdin=joined(names))
        return tuple(map(write_name, names))

    async def remove(
        self, path: Path, *, rescue: RescueName | None, already_saved: str | None, reuse: bool = False
    ) -> RescueRef | None:
        """Remove a worktree of ours after saving its work; return the ref of the work, None if there was none to save.

        If it was the last one, the repository's configuration is restored. No effect if there is nothing at `path`.

        Args:
            path: The worktree.
            rescue: Whose work it is; may be None only for a scratch worktree, whose content is discarded.
            already_saved: A tree that is stored elsewhere: equal content is not saved again.
            reuse: Its files may become those of another worktree; see `Repository.remove_worktree`.

        Raises:
            Refused: The work cannot be saved, `rescue` is missing, or it is no worktree of ours; nothing was removed.
            Conflict: Another program is writing the repository's configuration; the worktree was removed.
            GitError: git fails.
        """
        saved: RescueRef | None = None
        await self.filler.leave(path)
        async with self.lock():
            admin = self.admins.find(path)
            if admin is not None:
                saved = await self._remove_registered(path, admin, rescue, already_saved, reuse=reuse)
            elif exists(path):
                saved = await self._remove_stray(path, rescue)
            if not self.admins.has_records():
                restore_worktree_config(self._common_dir)
                self.pool.clear()
        begin_to_delete_trash(path.parent)
        return saved

    def continue_filling(self) -> None:
        """Complete, in the background, the worktrees that an earlier process has left incomplete; return at once."""
        for path, admin in self.admins.recorded():
            if is_filling(admin):
                self.filler.begin(path, admin)

    async def list_all(self) -> tuple[WorktreeEntry, ...]:
        """Return all worktrees of the repository, the main one first, and those whose folder is gone.

        Raises:
            GitError: git fails.
        """
        answer = await self._runner.run("worktree", "list", "--porcelain", "-z")
        blocks = answer.stdout.decode("utf-8", "surrogateescape").split("\0\0")
        return tuple(self._entry(block) for block in blocks if block.strip("\0"))

    async def set_guard(self, path: Path, guard: Guard) -> None:
        """Replace the guard, the hooks that check commits, of the worktree at `path`; it holds for the next commit.

        Raises:
            GitError: There is no worktree at `path`, or the guard cannot be written.
            Refused: A glob of the guard is not valid.
        """
        async with self.lock():
            await self._guard(self.admins.get(path), guard)

    async def restore_config(self) -> bool:
        """Undo our change to the repository's configuration; return whether it is undone, or was never made.

        False, with nothing changed, while a worktree of ours or another setting needs it.

        Raises:
            Conflict: Another program is writing the configuration.
            OSError: The configuration cannot be read or written.
        """
        async with self.lock():
            return not self.admins.has_records() and restore_worktree_config(self._common_dir)

    def lock(self) -> asyncio.Lock:
        """Return the lock that serialises changes to the worktrees of this repository, one per event loop."""
        locks = _locks.setdefault(asyncio.get_running_loop(), {})
        return locks.setdefault(self._common_dir, asyncio.Lock())

    def _entry(self, block: str) -> WorktreeEntry:
        facts = dict(line.partition(" ")[::2] for line in block.strip("\0").split("\0"))
        path = Path(facts["worktree"])
        admin = self.admins.find(path)
        record = read_record(admin) if admin else None
        head = facts.get("HEAD", "")
        return WorktreeEntry(
            path=path,
            head_oid=head if head.strip("0") else None,
            branch=facts["branch"].removeprefix("refs/heads/") if "branch" in facts else None,
            is_bare="bare" in facts,
            is_missing=not path.exists(),
            lock_reason=facts.get("locked"),
            instance=record.instance if record and record.instance else None,
        )

    async def _make(self, spec: WorktreeSpec) -> Path:
        has_branch = await self._objects.resolve(f"refs/heads/{spec.branch}") is not None
        target = [] if has_branch else ["--no-track", "-b", spec.branch]
        commit = spec.branch if has_branch else spec.base_oid
        admin = await self._register(spec.path, commit, target, f"{LOCK_PREFIX} {spec.instance}")
        is_partial = spec.first is not None and await self._checkouts.is_large(commit)
        if is_partial and (spare := await self.pool.take_kept(spec.path.parent, commit, for_checks=False)):
            await asyncio.to_thread(place, spare, spec.path, admin)
            return admin
        await self._fill(spec.path, admin, commit, cone_of(spec.first or ()) if is_partial else None)
        return admin

    async def _register(self, path: Path, commit: str, target: list[str], reason: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        options = ("--no-checkout", "--lock", "--reason", reason)
        try:
            await self._runner.run("worktree", "add", *options, *target, "--", str(path), commit)
        except GitError as first:
            # Another program may have changed the worktrees at the same time. The failed attempt left no content.
            logger.info("worktree add is tried again", extra={"git_error": first.message})
            self.admins.drop(self.admins.find(path))
            put_aside(path, path.parent)
            branch = target[-1] if "-b" in target else None
            if branch and await self._objects.resolve(f"refs/heads/{branch}") is not None:
                target, commit = [], branch
            await self._runner.run("worktree", "add", *options, *target, "--", str(path), commit)
        return self.admins.get(path)

    async def _fill(self, path: Path, admin: Path, commit: str, cone: tuple[str, ...] | None = None) -> None:
        """Check a commit out into a new, empty worktree.

        Args:
            path: The worktree.
            admin: Its own git folder, which is new: only git has written to it.
            commit: The commit, or the branch that points to it.
            cone: The folders that are wanted, besides the files of the folders above; the worktree is then marked as
                incomplete. None for all.

        Raises:
            GitError: git fails.
        """
        runner = GitRunner(git_dir=admin, cwd=path)
        if cone is None:
            await self._checkouts.write(commit, runner=runner, path=path, index=admin / "index")
            return
        patterns = admin / "info" / "sparse-checkout"
        patterns.parent.mkdir(exist_ok=True)
        patterns.write_bytes(cone_patterns(cone))
        await self._checkouts.write(commit, runner=runner, path=path, index=admin / "index", how=CONE)
        shutil.rmtree(patterns.parent)
        tops = await self._runner.run("ls-tree", "-d", "-z", "--name-only", commit)
        await asyncio.to_thread(make_folders, path, tops.fields())  # so that the sandbox can link to them
        mark_filling(admin, await self._objects.resolve(commit) or commit)

    async def _clear(self, path: Path, rescue: RescueName, base_oid: str) -> None:
        """Free the path of a worktree that is incomplete or lost its folder or registration; rescue its work first.

        Args:
            path: The path; nothing happens if it is free.
            rescue: Whose work it is.
            base_oid: The commit that the worktree was created from.

        Raises:
            Refused: What is there is no worktree of ours, or cannot be saved.
        """
        admin = self.admins.find(path)
        if admin is not None:
            if is_folder(path):
                await asyncio.to_thread(make_savable, path)
            if read_record(admin) is not None or await self._has_work(path, admin, base_oid):
                await self._snapshots.rescue(path, admin, name=rescue, base=base_oid, already_saved=None)
            put_aside(path, path.parent)
            self.admins.drop(admin)
        elif has_content(path):
            await self._remove_stray(path, rescue)

    async def _has_work(self, path: Path, admin: Path, base_oid: str) -> bool:
        """Return whether an incomplete worktree has files that no checkout of its base wrote; False if it is gone."""
        if not is_folder(path):
            return False
        snapshot = await self._snapshots.take(path, admin)
        base_tree = await self._objects.tree_of(base_oid)
        changes = await self._objects.changed_paths(base_tree, snapshot.tree)
        return any(change.status != "D" for change in changes)

    async def _remove_registered(
        self, path: Path, admin: Path, rescue: RescueName | None, already_saved: str | None, *, reuse: bool
    ) -> RescueRef | None:
        record = read_record(admin)
        if record is None and not is_reserved(admin):
            raise Refused(f"{path} is not a worktree of aegis-tui", "git worktree remove", code="worktree.foreign")
        if admin_files.is_scratch(admin):
            if record and reuse and is_folder(path):
                await self.pool.keep_used(path, admin, record.base_oid)
            await self._drop_scratch(path, admin)
            return None
        if rescue is None:
            raise Refused(f"{path} holds an instance's work", "name the run and instance to save it for")
        base = record.base_oid if record else None
        if is_folder(path):
            await asyncio.to_thread(make_savable, path)
        saved = await self._snapshots.rescue(path, admin, name=rescue, base=base, already_saved=already_saved)
        if record and reuse and saved is None and record.private is not None:
            await self._keep(path, admin, record)
        put_aside(path, path.parent)
        self.admins.drop(admin)
        return saved

    async def _keep(self, path: Path, admin: Path, record: Record) -> None:
        """Keep the files of a worktree that is about to be removed for the next one, if the repository is large.

        Nothing is kept if the worktree is incomplete, a file is not as it was checked out, or no commit of the person
        is known that it is based on.

        Raises:
            GitError: git fails.
            OSError: A folder cannot be moved.
        """
        is_usable = is_folder(path) and not await asyncio.to_thread(is_filling, admin)
        if not is_usable or not await self._checkouts.is_large(record.base_oid):
            return
        base = await self._filters.persons_base(record.base_oid)
        if base is not None:
            await self.pool.keep(path, admin, base)

    async def _remove_stray(self, path: Path, rescue: RescueName | None) -> RescueRef | None:
        """Remove a folder that was a worktree of ours until git lost its registration; rescue its content first.

        Returns:
            The ref under which the content was saved; None if there was nothing to save.

        Raises:
            Refused: It was no worktree of ours, `rescue` does not say whose work it is, or it cannot be saved.
        """
        if rescue is None or not self.admins.is_stray(path):
            raise Refused(f"{path} is not a worktree of aegis-tui", "move it away", code="worktree.foreign")
        await asyncio.to_thread(make_savable, path)
        saved = await self._snapshots.rescue(path, None, name=rescue, base=None, already_saved=None)
        put_aside(path, path.parent)
        return saved

    async def _drop_scratch(self, path: Path, admin: Path) -> None:
        if not admin_files.is_scratch(admin):
            raise Refused(f"{path} is not a scratch worktree", "use another path", code="worktree.foreign")
        put_aside(path, path.parent)
        self.admins.drop(admin)

    async def _guard(self, admin: Path, guard: Guard) -> None:
        await ensure_worktree_config(self._runner, self._common_dir, self._objects.settings)
        theirs = await hooks_of_the_person(self._runner, self._common_dir, self._objects.settings)
        settings = await asyncio.to_thread(write_guard, guard, theirs)
        admin_files.include_settings(admin, settings)
