"""The repository for the orchestrator: one object that combines discovery, worktrees, prediction and composition."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from aegis_tui.adapters.git.admin import PROTECTED_FILES
from aegis_tui.adapters.git.batch import PieceComposer
from aegis_tui.adapters.git.checkout import Checkout
from aegis_tui.adapters.git.compose import Composer
from aegis_tui.adapters.git.condition import Condition, alternates_of
from aegis_tui.adapters.git.discovery import Discovery, discover, workspace_key
from aegis_tui.adapters.git.intake import Intake
from aegis_tui.adapters.git.mergiraf import Mergiraf
from aegis_tui.adapters.git.objects import MAX_BLOB_BYTES, Objects
from aegis_tui.adapters.git.predict import Merges
from aegis_tui.adapters.git.private import lay_out, store_of
from aegis_tui.adapters.git.rescues import GitRescues
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.snapshot import Snapshots
from aegis_tui.adapters.git.worktree import Worktrees
from aegis_tui.ports.commits import Blob, ChangedPath, Ref
from aegis_tui.ports.git_mounts import GitMounts
from aegis_tui.ports.merge import ComposeResult, MergePreview
from aegis_tui.ports.repository import (
    Guard,
    RepositoryFacts,
    RescueName,
    RescueRef,
    Worktree,
    WorktreeEntry,
    WorktreeSpec,
)
from aegis_tui.ports.repository_condition import RepositoryCondition


async def open_repository(path: Path, driver: Mergiraf | None = None) -> GitRepository:
    """Open the repository that contains `path`, from any of its worktrees; `driver` may merge files. It may be bare.

    Raises:
        GitUnavailable: git is missing or too old, or `path` is in no repository or its git folder, or has a line break.
        GitError: git fails or does not answer in time.
    """
    return GitRepository(await discover(path), driver)


class GitRepository:
    """One repository, accessed through the `git` program. Implements `Repository`.

    Methods raise `GitError` if git fails or is too slow, `GitUnavailable` if it cannot be started, else `OSError`.

    Args:
        place: The paths of the repository, from `discover`.
        driver: Merges files that nothing else can merge; None if there is none.
    """

    def __init__(self, place: Discovery, driver: Mergiraf | None = None) -> None:
        self._place = place
        self._runner = GitRunner(git_dir=place.common_dir, cwd=place.root)
        self._objects = Objects(self._runner)
        self._checkout = Checkout(place, self._objects)
        self._intake = Intake(self._runner, place.common_dir, self._objects)
        self._condition = Condition(place, self._runner, self._objects.settings)
        self._snapshots = Snapshots(self._runner, self._objects, self._intake)
        self._worktrees = Worktrees(place, self._runner, self._objects, self._snapshots)
        self._merges = Merges(self._runner, self._objects, driver)
        self._composer = Composer(self._runner, self._objects, self._merges, self._checkout)
        self.rescues = GitRescues(self._runner, self._objects, self._composer)
        """The work that was saved before its worktree was removed."""
        self.batches = PieceComposer(self._runner, self._objects, self._composer, self._merges.merge)
        """Composes many pieces at once."""

    @property
    def root(self) -> Path:
        """The top folder of the opened checkout; for a bare repository, its git folder."""
        return self._place.root

    @property
    def common_dir(self) -> Path:
        """The git folder that all worktrees share."""
        return self._place.common_dir

    @property
    def key(self) -> str:
        """The workspace key (contract 1): 12 hexadecimal digits, the same in all worktrees of the repository."""
        return workspace_key(self._place.common_dir)

    async def facts(self) -> RepositoryFacts:
        """Return the facts that a run needs before it starts; `GitError` if the checkout cannot be read."""
        return await self._checkout.facts()

    async def preflight(self, run: str) -> None:
        """Return if a run with this name may start here.

        Raises:
            Refused: There is no commit, git knows no name or no email address of the person, or a branch has a name
                that blocks the run's branches; the hint is the command that helps.
            GitError: git fails.
        """
        await self._checkout.preflight(run)

    async def condition(self) -> RepositoryCondition:
        """Return the conditions that may make a run fail; raises `GitError` (`InspectedRepository.condition`)."""
        return await self._condition.look()

    async def checkout_bytes(self) -> int:
        """Return the size of one checkout of HEAD in bytes; 0 in a partial clone. `GitError` without a commit."""
        return await self._condition.checkout_bytes()

    async def tree_paths(self, oid: str) -> tuple[str, ...]:
        """Return the path of every file and submodule in a commit or tree, in git's order and in written form.

        Raises `GitError` if there is no such commit or tree.
        """
        return await self._objects.tree_paths(oid)

    async def add_worktree(self, spec: WorktreeSpec) -> Worktree:
        """Create the worktree of an instance, with its branch and the hooks that check its commits, and return it.

        One that was created before keeps its work. What is left of one whose creation was interrupted is saved under a
        rescue ref if it may be work, and then replaced. In a large repository, files outside `spec.first` may still be
        missing; they are added in the background.

        Raises:
            Refused: Something that is no worktree of ours is at the path, the work in it cannot be saved, or a glob of
                the guard is not valid.
            Conflict: Another program is writing the repository's configuration.
            GitError: git fails.
            OSError: A file or folder cannot be read or written.
        """
        return await self._worktrees.add(spec)

    async def begin_scratch(self, parent: Path, oid: str) -> None:
        """Begin, in the background, to check out files for `add_scratch` if the repository is large; return at once."""
        await self._worktrees.begin_scratch(parent, oid)

    async def completed(self, path: Path) -> None:
        """Return when no files are being added to the worktree at `path` any longer; raises nothing."""
        await self._worktrees.filler.wait(path)

    async def continue_filling(self) -> None:
        """Start completing, in the background, worktrees that a process which was killed has left incomplete."""
        self._worktrees.continue_filling()

    async def stop_filling(self) -> None:
        """Stop completing worktrees, and return when that is done; await it before the event loop is closed."""
        self._worktrees.pool.clear()
        await self._worktrees.filler.stop()

    async def add_scratch(self, path: Path, oid: str) -> Worktree:
        """Create a worktree for checks with a detached HEAD at `oid`; an earlier one at `path` is replaced.

        Raises:
            Refused: Another worktree is at `path`.
            Conflict: Something else is at `path`.
            GitError: git fails.
            OSError: A file or folder cannot be read or written.
        """
        return await self._worktrees.add_scratch(path, oid)

    async def restore_scratch(self, scratch: Worktree) -> tuple[str, ...]:
        """Restore the tracked files of a worktree from `add_scratch` to those of its index; new files stay.

        Returns the paths of the files that were changed or deleted, in written form; empty if none was.

        Raises:
            GitError: git fails.
            OSError: The worktree's index cannot be copied.
        """
        return await self._worktrees.restore_scratch(scratch)

    async def remove_worktree(
        self, path: Path, *, rescue: RescueName | None, already_saved: str | None = None, reuse: bool = False
    ) -> RescueRef | None:
        """Remove a worktree of ours after saving content that is nowhere else; its branch stays.

        Args:
            path: Its folder.
            rescue: Whose work it is; None only for a worktree from `add_scratch`, whose content is discarded.
            already_saved: A tree that is kept elsewhere; a worktree with equal content needs no rescue.
            reuse: Its files may become those of another worktree; see `Repository.remove_worktree`.

        Returns:
            The ref of the work; None if there was nothing to save, or no worktree.

        Raises:
            Refused: The work cannot be saved, `rescue` is missing, or it is no worktree of ours; nothing was removed.
            Conflict: Another program is writing the repository's configuration; the worktree was removed.
            GitError: git fails.
            OSError: A file or folder cannot be read, written or moved.
        """
        return await self._worktrees.remove(path, rescue=rescue, already_saved=already_saved, reuse=reuse)

    async def list_worktrees(self) -> tuple[WorktreeEntry, ...]:
        """Return all worktrees of the repository, the main one first, also those whose folder is gone.

        Raises `GitError` if git fails.
        """
        return await self._worktrees.list_all()

    async def set_guard(self, path: Path, guard: Guard) -> None:
        """Replace the guard, the hooks that check commits, of the worktree at `path`; it holds for the next commit.

        Raises:
            GitError: There is no worktree at `path`, or the guard cannot be written.
            Refused: A glob of the guard is not valid.
        """
        await self._worktrees.set_guard(path, guard)

    async def restore_config(self) -> bool:
        """Undo our change to the repository's configuration; return whether it is undone, or was never made.

        False, with nothing changed, while a worktree of ours or another setting still needs it. Raises `Conflict` if
        another program is writing the configuration, `OSError` if it cannot be read or written.
        """
        return await self._worktrees.restore_config()

    async def snapshot_tree(self, path: Path) -> str:
        """Return the id of a tree with the content of a worktree, with untracked files but without ignored ones.

        Raises:
            GitError: There is no worktree at `path`, or its content cannot be read.
        """
        return (await self._snapshots.take(path, self._worktrees.admins.get(path))).tree

    async def snapshot_commit(self, path: Path) -> str:
        """Write a commit of a worktree's content, with its HEAD as parent, and return its id; no ref is moved.

        Raises:
            GitError: There is no worktree at `path`, or its HEAD or content cannot be read.
        """
        return await self._snapshots.on_head(path, self._worktrees.admins.get(path))

    async def changed_paths(self, base: str, head: str) -> list[ChangedPath]:
        """Return the sorted paths that differ between two commits or trees; `GitError`: one is missing, or too many."""
        return await self._objects.changed_paths(base, head)

    async def diff_text(self, base: str, head: str, paths: Sequence[str] | None = None) -> str:
        """Return the unified diff between two commits or trees, of `paths` only if given; empty if they are equal.

        Raises:
            GitError: One of the two does not exist, or the diff is too large (code `git.output`).
        """
        return await self._objects.diff_text(base, head, paths)

    async def read_blob(self, oid: str, *, limit: int = MAX_BLOB_BYTES) -> bytes:
        """Return the content of a blob, named by its id or as `revision:path`.

        Raises:
            GitError: It is larger than `limit` bytes (code `git.output`), or does not exist.
        """
        return await self._objects.read_blob(oid, limit=limit)

    async def read_blobs(self, oids: Iterable[str], *, limit: int, total: int) -> Mapping[str, Blob]:
        """Return many blobs at once, by their ids; an id that names no blob is left out.

        A blob over `limit` bytes is in the result with the content None. So is one with which the contents before it
        would exceed `total` bytes; smaller ones after it still get theirs.

        Raises:
            GitError: git fails.
        """
        return await self._objects.read_blobs(oids, limit=limit, total=total)

    async def tree_of(self, oid: str) -> str:
        """Return the id of a commit's tree; raises `GitError` if there is no such commit (`Repository.tree_of`)."""
        return await self._objects.tree_of(oid)

    async def resolve(self, ref: str) -> str | None:
        """Return the id of the commit that a ref or an object id names; None when there is none, or it is no commit.

        Raises `GitError` if git does not answer in time.
        """
        return await self._objects.resolve(ref)

    async def commit_exists(self, oid: str) -> bool:
        """Return whether there is such a commit in the repository; False for the id of another object.

        Raises `GitError` if git does not answer in time.
        """
        return await self._objects.resolve(oid) is not None

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Return whether `ancestor` can be reached from `descendant`, or is the same; `GitError` if one is missing."""
        return await self._objects.is_ancestor(ancestor, descendant)

    async def merge_bases(self, one: str, other: str) -> list[str]:
        """Return the best common ancestors of two commits, the one that git prefers first; empty if they have none.

        Raises:
            GitError: One of the commits does not exist.
        """
        return await self._objects.merge_bases(one, other)

    async def list_refs(self, prefix: str) -> tuple[Ref, ...]:
        """Return the refs at or below `prefix`, a full ref name, sorted by name; `GitError` if git fails."""
        return await self._objects.list_refs(prefix)

    async def predict(self, ours: str, theirs: str) -> MergePreview:
        """Return what merging two commits would give, and write no ref; `GitError` only if one of them is missing."""
        return await self._merges.predict(ours, theirs)

    async def compose(self, ref: str, piece_oid: str, *, expect_oid: str, message: str, at: int) -> ComposeResult:
        """Merge a piece onto a ref without a worktree, and return the new commit; see `Repository.compose`.

        Raises:
            MergeConflict: Both change the same lines; the ref is unchanged.
            Conflict: The ref does not point to `expect_oid`, unless it has the piece already.
            Refused: git does not know the person's name or email address.
            GitError: A commit does not exist, or git fails.
        """
        return await self._composer.compose(ref, piece_oid, expect_oid=expect_oid, message=message, at=at)

    async def squash(self, *, tree: str, parent: str, branch: str, message: str, at: int) -> str:
        """Write a commit of a tree, create a branch that points to it, and return its id; see `Repository.squash`.

        Raises:
            Conflict: The branch exists and points to another commit; one that points to this commit already is kept.
            Refused: git does not know the person's name or email address.
            GitError: git fails.
        """
        return await self._composer.squash(tree=tree, parent=parent, branch=branch, message=message, at=at)

    async def update_ref(self, ref: str, oid: str, expect: str | None) -> None:
        """Move a ref from `expect` to `oid`, or create it if `expect` is None; raises `Conflict` if it is elsewhere.

        With None, a ref that exists is a conflict too. Raises `GitError` if git fails for another reason.
        """
        await self._composer.update_ref(ref, oid, expect)

    async def delete_ref(self, ref: str, expect: str) -> None:
        """Delete a ref that points to `expect`; raises `Conflict` if it points elsewhere or does not exist.

        Raises `GitError` if git fails for another reason.
        """
        await self._composer.delete_ref(ref, expect)

    async def keep(self, run: str, name: str, oid: str) -> str:
        """Let the ref `refs/aegis/runs/<run>/<name>` point to a commit, so that it is kept; return that ref.

        Wherever it pointed to before, it is moved. Raises `GitError` if the repository has no object with that id, and
        `Conflict` if something else moves the ref at this moment.
        """
        return await self._composer.keep(run, name, oid)

    async def git_mounts(self, worktree: Worktree, *, private: Path | None = None) -> GitMounts:
        """Return the mounts of the git folder for a sandbox around a worktree; see `Repository.git_mounts`.

        Raises:
            GitError: git fails.
            OSError: A folder cannot be read or created.
        """
        borrowed = await asyncio.to_thread(alternates_of, self.common_dir)
        shown = (*borrowed, *await self._condition.filter_programs())
        if worktree.branch is None:
            return GitMounts(self.common_dir, (), shown)
        run_folder = Path(worktree.branch).parent
        async with self._worktrees.lock():  # what is copied must not change meanwhile
            mounts = await asyncio.to_thread(_mounts, self.common_dir, worktree, run_folder, private)
        return replace(mounts, read_only=(*mounts.read_only, *shown))

    async def take_in(self, private: Path, oids: Sequence[str]) -> None:
        """Copy commits that an instance made in its own store into the repository; see `Repository.take_in`.

        Does nothing if the folder `private` has no store. Raises `GitError` (code `git.objects`), with nothing copied,
        if an object is missing, damaged or beyond the limits of size and number.
        """
        store = await asyncio.to_thread(store_of, private)
        if store is not None:
            await self._intake.take(store, oids)


def _mounts(common_dir: Path, worktree: Worktree, run_folder: Path, private: Path | None) -> GitMounts:
    """Return what a sandbox around an instance's worktree mounts; missing folders are created; blocking.

    Args:
        common_dir: The repository's common git folder.
        worktree: The worktree.
        run_folder: The part of the names of the run's branches before the instance: `aegis/<run>`.
        private: A folder for the instance's own copies of git's folders; None if it writes to the common ones.

    Raises:
        OSError: A folder cannot be created.
    """
    objects = common_dir / "objects"
    admin = worktree.admin_dir
    branches = (common_dir / "refs/heads" / run_folder, common_dir / "logs/refs/heads" / run_folder)
    for folder in (*branches, objects / "info", objects / "pack"):
        folder.mkdir(parents=True, exist_ok=True)
    if private is not None:
        own = lay_out(private, common_dir, worktree)
    else:
        closed = [objects / "info", objects / "pack"]
        closed += [admin / name for name in PROTECTED_FILES if (admin / name).is_file()]
        own = GitMounts(common_dir, (objects, admin), tuple(closed))
    guards = (worktree.path / ".git", *((worktree.hooks_dir,) if worktree.hooks_dir else ()))
    return replace(own, read_only=(*own.read_only, *guards), branches=branches)
