"""The repository as services see it: one object over discovery, worktrees, prediction and composition."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from aegis_tui.adapters.git.compose import IDENTITY_HINT, Composer
from aegis_tui.adapters.git.discovery import Discovery, discover, workspace_key
from aegis_tui.adapters.git.predict import Merges
from aegis_tui.adapters.git.run import GitRunner, decode
from aegis_tui.adapters.git.snapshot import Snapshots
from aegis_tui.adapters.git.worktree import Worktrees
from aegis_tui.errors import GitError, Refused
from aegis_tui.ports.repository import (
    ChangedPath,
    ComposeResult,
    GitMounts,
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

_FSCK_DEADLINE_S = 600.0
_PROTECTED_ADMIN_FILES = ("aegis.json", "commondir", "config.worktree", "gitdir", "locked")


async def open_repository(path: Path) -> GitRepository:
    """The repository that `path` is in: from any of its worktrees, or a bare one.

    Raises:
        GitUnavailable: There is no git, it is too old, or `path` is in no repository.
    """
    return GitRepository(await discover(path))


@dataclass(frozen=True, slots=True)
class _Checkout:
    """What GitPython says of the person's checkout."""

    branch: str | None
    ignore_case: bool


class GitRepository:
    """One repository, by the `git` program. Implements `Repository`.

    Args:
        place: Where it is; by `discover`.
    """

    def __init__(self, place: Discovery) -> None:
        self._place = place
        self._runner = GitRunner(git_dir=place.common_dir, cwd=place.root)
        self._snapshots = Snapshots(self._runner)
        self._worktrees = Worktrees(place, self._runner, self._snapshots)
        self._merges = Merges(self._runner)
        self._composer = Composer(self._runner, self._merges)

    @property
    def root(self) -> Path:
        """The checkout that was opened."""
        return self._place.root

    @property
    def common_dir(self) -> Path:
        """The git folder that all worktrees share."""
        return self._place.common_dir

    @property
    def key(self) -> str:
        """Workspace key (contract 1)."""
        return workspace_key(self._place.common_dir)

    async def facts(self) -> RepositoryFacts:
        """See `Repository.facts`."""
        checkout = await asyncio.to_thread(_read_checkout, self._place)
        return RepositoryFacts(
            root=self.root,
            common_dir=self.common_dir,
            key=self.key,
            head_oid=await self._head(),
            branch=checkout.branch,
            user_name=await self._composer.config("user.name"),
            user_email=await self._composer.config("user.email"),
            ignore_case=checkout.ignore_case,
            dirty_paths=await self._count_dirty(),
        )

    async def preflight(self, run: str) -> None:
        """See `Repository.preflight`."""
        if await self._head() is None:
            hint = "git add . && git commit -m 'Start'"
            raise Refused("the repository has no commit yet", hint, code="preflight.commit")
        if not await self._composer.config("user.name") or not await self._composer.config("user.email"):
            raise Refused("git does not know who you are", IDENTITY_HINT, code="preflight.identity")
        for branch in ("aegis", f"aegis/{run}"):
            if await self._composer.resolve(f"refs/heads/{branch}") is not None:
                raise Refused(
                    f"a branch named {branch} stands where the branches of the run go",
                    f"git branch -m {branch} {branch.replace('/', '-')}-old",
                    code="preflight.branch",
                )

    async def add_worktree(self, spec: WorktreeSpec) -> Worktree:
        """See `Repository.add_worktree`."""
        return await self._worktrees.add(spec)

    async def add_scratch(self, path: Path, oid: str) -> Worktree:
        """See `Repository.add_scratch`."""
        return await self._worktrees.add_scratch(path, oid)

    async def remove_worktree(
        self, path: Path, *, rescue: RescueName | None, already_saved: str | None = None
    ) -> RescueRef | None:
        """See `Repository.remove_worktree`."""
        return await self._worktrees.remove(path, rescue=rescue, already_saved=already_saved)

    async def list_worktrees(self) -> tuple[WorktreeEntry, ...]:
        """See `Repository.list_worktrees`."""
        return await self._worktrees.list()

    async def set_guard(self, path: Path, guard: Guard) -> None:
        """See `Repository.set_guard`."""
        await self._worktrees.set_guard(path, guard)

    async def restore_config(self) -> bool:
        """See `Repository.restore_config`."""
        return await self._worktrees.restore_config()

    async def snapshot_tree(self, path: Path) -> str:
        """See `Repository.snapshot_tree`."""
        return (await self._snapshots.take(path, self._worktrees.admin_of(path))).tree

    async def snapshot_commit(self, path: Path) -> str:
        """See `Repository.snapshot_commit`."""
        return await self._snapshots.on_head(path, self._worktrees.admin_of(path))

    async def changed_paths(self, base: str, head: str) -> list[ChangedPath]:
        """See `Repository.changed_paths`."""
        args = ("diff-tree", "-r", "-M", "-z", "--raw", "--no-abbrev", "--end-of-options", base, head)
        fields = iter((await self._runner.run(*args)).fields())
        changes = [_changed_path(meta, first, fields) for meta, first in zip(fields, fields, strict=False)]
        return sorted(changes, key=lambda change: change.path)

    async def diff_text(self, base: str, head: str, paths: Sequence[str] | None = None) -> str:
        """See `Repository.diff_text`."""
        options = ("-r", "-M", "-p", "--no-color", "--no-ext-diff", "--no-textconv")
        only = [f":(top,literal){path}" for path in paths or ()]
        if paths is not None and not only:
            return ""
        answer = await self._runner.run("diff-tree", *options, "--end-of-options", base, head, "--", *only)
        return answer.stdout.decode("utf-8", "replace")

    async def read_blob(self, oid: str) -> bytes:
        """See `Repository.read_blob`."""
        return (await self._runner.run("cat-file", "blob", oid)).stdout

    async def tree_of(self, oid: str) -> str:
        """See `Repository.tree_of`."""
        return await self._composer.tree_of(oid)

    async def resolve(self, ref: str) -> str | None:
        """See `Repository.resolve`."""
        return await self._composer.resolve(ref)

    async def commit_exists(self, oid: str) -> bool:
        """See `Repository.commit_exists`."""
        return await self._composer.resolve(oid) is not None

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """See `Repository.is_ancestor`."""
        return await self._composer.is_ancestor(ancestor, descendant)

    async def merge_base(self, one: str, other: str) -> str | None:
        """See `Repository.merge_base`."""
        return (await self._runner.run("merge-base", one, other, ok=(0, 1))).text or None

    async def list_refs(self, prefix: str) -> tuple[Ref, ...]:
        """See `Repository.list_refs`."""
        answer = await self._runner.run("for-each-ref", "--format=%(refname) %(objectname)", prefix)
        pairs = (line.rpartition(" ") for line in answer.text.split("\n") if line)
        return tuple(Ref(name, oid) for name, _, oid in pairs)

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
        ref = f"refs/aegis/runs/{run}/{name}"
        await self._composer.update_ref(ref, oid, await self._composer.resolve(ref))
        return ref

    async def git_mounts(self, worktree: Worktree) -> GitMounts:
        """See `Repository.git_mounts`."""
        if worktree.branch is None:
            return GitMounts(self.common_dir, (), ())
        run_folder = Path(worktree.branch).parent
        return await asyncio.to_thread(_mounts, self.common_dir, run_folder, worktree.admin_dir)

    async def fsck(self) -> None:
        """See `Repository.fsck`."""
        args = ("fsck", "--full", "--no-dangling", "--no-progress")
        await self._runner.run(*args, deadline_s=_FSCK_DEADLINE_S)

    async def _head(self) -> str | None:
        if self._place.git_dir == self.common_dir:
            return await self._composer.resolve("HEAD")
        return await self._composer.resolve(f"worktrees/{self._place.git_dir.name}/HEAD")

    async def _count_dirty(self) -> int:
        if self._place.is_bare:
            return 0
        runner = GitRunner(git_dir=self._place.git_dir, cwd=self.root)
        answer = await runner.run("status", "--porcelain=v1", "-z", "--no-renames", work_tree=self.root)
        return len(answer.fields())


def _read_checkout(place: Discovery) -> _Checkout:
    # Imported late: GitPython looks for git when it is imported, and fails where there is none.
    import git

    try:
        with git.Repo(place.root) as repo, repo.config_reader() as config:
            branch = None if place.is_bare and repo.head.is_detached else _branch_name(repo.head.reference.path)
            return _Checkout(branch, bool(config.get_value("core", "ignorecase", False)))
    except TypeError:
        return _Checkout(None, False)
    except (git.GitError, OSError, ValueError) as error:
        raise GitError(f"the checkout at {place.root} cannot be read: {error}", "git status") from error


def _branch_name(path: str) -> str:
    return path.removeprefix("refs/heads/")


def _changed_path(meta: str, first: str, fields: object) -> ChangedPath:
    old_mode, new_mode, old_blob, new_blob, letter = meta.lstrip(":").split(" ")
    status = cast(Literal["A", "M", "D", "R", "T"], letter[0])
    path = decode(b"") or first
    deleted = status == "D"
    return ChangedPath(path, status, None, old_mode if deleted else new_mode, old_blob if deleted else new_blob)


def _mounts(common_dir: Path, run_folder: Path, admin_dir: Path) -> GitMounts:
    writable = (
        common_dir / "objects",
        common_dir / "refs" / "heads" / run_folder,
        common_dir / "logs" / "refs" / "heads" / run_folder,
        admin_dir,
    )
    for folder in writable:
        folder.mkdir(parents=True, exist_ok=True)
    return GitMounts(common_dir, writable, ())
