"""The repository for the orchestrator: one object that combines discovery, worktrees, prediction and composition."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aegis_tui.adapters.git.admin import PROTECTED_FILES
from aegis_tui.adapters.git.checkout import Checkout
from aegis_tui.adapters.git.compose import Composer
from aegis_tui.adapters.git.condition import Condition, alternates_of
from aegis_tui.adapters.git.discovery import Discovery, discover, workspace_key
from aegis_tui.adapters.git.intake import Intake
from aegis_tui.adapters.git.objects import MAX_BLOB_BYTES, Objects
from aegis_tui.adapters.git.predict import Merges
from aegis_tui.adapters.git.private import lay_out, store_of
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.snapshot import Snapshots
from aegis_tui.adapters.git.worktree import Worktrees
from aegis_tui.ports.git_mounts import GitMounts
from aegis_tui.ports.repository import (
    ChangedPath,
    ComposeResult,
    Guard,
    MergePreview,
    Ref,
    RepositoryFacts,
    RescueName,
    RescueRef,
    Worktree,
    WorktreeEntry,
    WorktreeSpec,
)
from aegis_tui.ports.repository_condition import RepositoryCondition


async def open_repository(path: Path) -> GitRepository:
    """Open the repository that contains `path`, from any of its worktrees; it may be bare.

    Raises:
        GitUnavailable: git is missing or too old, or `path` is in no repository.
    """
    return GitRepository(await discover(path))


class GitRepository:
    """One repository, accessed through the `git` program. Implements `Repository`.

    Args:
        place: The paths of the repository, from `discover`.
    """

    def __init__(self, place: Discovery) -> None:
        self._place = place
        self._runner = GitRunner(git_dir=place.common_dir, cwd=place.root)
        self._objects = Objects(self._runner)
        self._checkout = Checkout(place, self._objects)
        self._intake = Intake(self._runner, place.common_dir)
        self._condition = Condition(place, self._runner)
        self._snapshots = Snapshots(self._runner, self._objects, self._intake)
        self._worktrees = Worktrees(place, self._runner, self._objects, self._snapshots)
        self._merges = Merges(self._runner)
        self._composer = Composer(self._runner, self._objects, self._merges, self._checkout)

    @property
    def root(self) -> Path:
        """The top folder of the opened checkout."""
        return self._place.root

    @property
    def common_dir(self) -> Path:
        """The git folder that all worktrees share."""
        return self._place.common_dir

    @property
    def key(self) -> str:
        """The key of the workspace (contract 1)."""
        return workspace_key(self._place.common_dir)

    async def facts(self) -> RepositoryFacts:
        """See `Repository.facts`."""
        return await self._checkout.facts()

    async def preflight(self, run: str) -> None:
        """See `Repository.preflight`."""
        await self._checkout.preflight(run)

    async def condition(self) -> RepositoryCondition:
        """See `InspectedRepository.condition`."""
        return await self._condition.look()

    async def checkout_bytes(self) -> int:
        """See `Repository.checkout_bytes`."""
        return await self._condition.checkout_bytes()

    async def tree_paths(self, oid: str) -> tuple[str, ...]:
        """See `Repository.tree_paths`."""
        return await self._objects.tree_paths(oid)

    async def add_worktree(self, spec: WorktreeSpec) -> Worktree:
        """See `Repository.add_worktree`."""
        return await self._worktrees.add(spec)

    async def add_scratch(self, path: Path, oid: str) -> Worktree:
        """See `Repository.add_scratch`."""
        return await self._worktrees.add_scratch(path, oid)

    async def restore_scratch(self, scratch: Worktree) -> tuple[str, ...]:
        """See `Repository.restore_scratch`."""
        return await self._worktrees.restore_scratch(scratch)

    async def remove_worktree(
        self, path: Path, *, rescue: RescueName | None, already_saved: str | None = None
    ) -> RescueRef | None:
        """See `Repository.remove_worktree`."""
        return await self._worktrees.remove(path, rescue=rescue, already_saved=already_saved)

    async def list_worktrees(self) -> tuple[WorktreeEntry, ...]:
        """See `Repository.list_worktrees`."""
        return await self._worktrees.list_all()

    async def set_guard(self, path: Path, guard: Guard) -> None:
        """See `Repository.set_guard`."""
        await self._worktrees.set_guard(path, guard)

    async def restore_config(self) -> bool:
        """See `Repository.restore_config`."""
        return await self._worktrees.restore_config()

    async def snapshot_tree(self, path: Path) -> str:
        """See `Repository.snapshot_tree`."""
        return (await self._snapshots.take(path, self._worktrees.admins.get(path))).tree

    async def snapshot_commit(self, path: Path) -> str:
        """See `Repository.snapshot_commit`."""
        return await self._snapshots.on_head(path, self._worktrees.admins.get(path))

    async def changed_paths(self, base: str, head: str) -> list[ChangedPath]:
        """See `Repository.changed_paths`."""
        return await self._objects.changed_paths(base, head)

    async def diff_text(self, base: str, head: str, paths: Sequence[str] | None = None) -> str:
        """See `Repository.diff_text`."""
        return await self._objects.diff_text(base, head, paths)

    async def read_blob(self, oid: str, *, limit: int = MAX_BLOB_BYTES) -> bytes:
        """See `Repository.read_blob`."""
        return await self._objects.read_blob(oid, limit=limit)

    async def tree_of(self, oid: str) -> str:
        """See `Repository.tree_of`."""
        return await self._objects.tree_of(oid)

    async def resolve(self, ref: str) -> str | None:
        """See `Repository.resolve`."""
        return await self._objects.resolve(ref)

    async def commit_exists(self, oid: str) -> bool:
        """See `Repository.commit_exists`."""
        return await self._objects.resolve(oid) is not None

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """See `Repository.is_ancestor`."""
        return await self._objects.is_ancestor(ancestor, descendant)

    async def merge_bases(self, one: str, other: str) -> list[str]:
        """See `Repository.merge_bases`."""
        return await self._objects.merge_bases(one, other)

    async def list_refs(self, prefix: str) -> tuple[Ref, ...]:
        """See `Repository.list_refs`."""
        return await self._objects.list_refs(prefix)

    async def predict(self, ours: str, theirs: str) -> MergePreview:
        """See `Repository.predict`."""
        return await self._merges.predict(ours, theirs)

    async def compose(self, ref: str, piece_oid: str, *, expect_oid: str, message: str, at: int) -> ComposeResult:
        """See `Repository.compose`."""
        return await self._composer.compose(ref, piece_oid, expect_oid=expect_oid, message=message, at=at)

    async def squash(self, *, tree: str, parent: str, branch: str, message: str, at: int) -> str:
        """See `Repository.squash`."""
        return await self._composer.squash(tree=tree, parent=parent, branch=branch, message=message, at=at)

    async def update_ref(self, ref: str, oid: str, expect: str | None) -> None:
        """See `Repository.update_ref`."""
        await self._composer.update_ref(ref, oid, expect)

    async def delete_ref(self, ref: str, expect: str) -> None:
        """See `Repository.delete_ref`."""
        await self._composer.delete_ref(ref, expect)

    async def keep(self, run: str, name: str, oid: str) -> str:
        """See `Repository.keep`."""
        return await self._composer.keep(run, name, oid)

    async def git_mounts(self, worktree: Worktree, *, private: Path | None = None) -> GitMounts:
        """See `Repository.git_mounts`."""
        borrowed = await asyncio.to_thread(alternates_of, self.common_dir)
        shown = (*borrowed, *await self._condition.filter_programs())
        if worktree.branch is None:
            return GitMounts(self.common_dir, (), shown)
        run_folder = Path(worktree.branch).parent
        mounts = await asyncio.to_thread(_mounts, self.common_dir, worktree, run_folder, private)
        return replace(mounts, read_only=(*mounts.read_only, *shown))

    async def take_in(self, private: Path, oids: Sequence[str]) -> None:
        """See `Repository.take_in`."""
        store = await asyncio.to_thread(store_of, private)
        if store is not None:
            await self._intake.take(store, oids)


def _mounts(common_dir: Path, worktree: Worktree, run_folder: Path, private: Path | None) -> GitMounts:
    """Return the folders to show in a sandbox; create those that are missing; blocking."""
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
