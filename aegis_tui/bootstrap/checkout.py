"""Opens the repository of a checkout for commands: commits, refs, worktrees, leftovers, set-up."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from aegis_tui.adapters.disk import size_of
from aegis_tui.adapters.git.describe import describe_commit
from aegis_tui.adapters.git.folder import find_scratch_of_the_dead
from aegis_tui.adapters.git.lay_by import KEPT_NAME
from aegis_tui.adapters.git.piece_diff import read_patch, read_piece_diff
from aegis_tui.adapters.git.push import GitPusher
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.agent.role import SHIPPED
from aegis_tui.application.check import Check
from aegis_tui.application.leftovers import Leftovers
from aegis_tui.application.rescue import Rescues, Retention
from aegis_tui.application.setup import Setup
from aegis_tui.config import Settings
from aegis_tui.domain.review.commands import ReviewPart
from aegis_tui.domain.run.report_model import CommitSeen
from aegis_tui.errors import AegisError, GitUnavailable
from aegis_tui.ports.commits import contents_of
from aegis_tui.ports.push import Pusher
from aegis_tui.ports.repository import Repository, WorktreeEntry
from aegis_tui.sdk.discovery import WorkspacePaths, workspace_paths


async def describe_commit_at(root: Path, oid: str) -> CommitSeen:
    """Return what git reports about a commit of the repository at `root`: subject, number of files, trailers.

    Raises:
        GitUnavailable: git is missing, or `root` is in no repository.
        GitError: There is no such commit.
    """
    repository = await open_repository(root)
    return await describe_commit(repository.common_dir, oid)


async def piece_diff_at(root: Path, base_oid: str, head_oid: str) -> str:
    """Return what a piece changes in the repository at `root`, as a diff in git's unified format.

    Raises:
        GitUnavailable: git is missing, or `root` is in no repository.
        GitError: There is no such commit, or the diff is too long.
    """
    repository = await open_repository(root)
    return await read_piece_diff(repository.common_dir, base_oid, head_oid)


async def read_patches_at(root: Path, ranges: Sequence[tuple[str, str]]) -> bytes:
    """Return what pieces change in the repository at `root`, one after the other, as patches for `git apply`.

    Args:
        root: A folder in the repository.
        ranges: For each piece the commit that it is based on, and the commit that was submitted.

    Raises:
        GitUnavailable: git is missing, or `root` is in no repository.
        GitError: There is no such commit, or a patch is too long.
    """
    repository = await open_repository(root)
    return b"".join([await read_patch(repository.common_dir, base, head) for base, head in ranges])


async def read_part_at(root: Path, worktree: Path, base_oid: str) -> ReviewPart:
    """Return the work in a worktree of the repository at `root`, also what is not committed, as a commit without a ref.

    Raises:
        GitUnavailable: git is missing, or `root` is in no repository.
        GitError: The worktree cannot be read, or there is no such commit.
    """
    repository = await open_repository(root)
    head = await repository.snapshot_commit(worktree)
    changed = await repository.changed_paths(base_oid, head)
    return ReviewPart(head_oid=head, files=tuple(item.path for item in changed), blobs=contents_of(changed))


async def leftovers_at(root: Path, paths: WorkspacePaths) -> Leftovers:
    """Open the repository at `root` and return the `Leftovers` that removes what its killed processes left behind.

    Nothing is removed yet.

    Raises:
        GitUnavailable: git is missing, or `root` is in no repository.
    """
    return leftovers_of(await open_repository(root), paths)


def leftovers_of(repository: Repository, paths: WorkspacePaths) -> Leftovers:
    """Return the `Leftovers` that removes what killed processes of a workspace left behind; nothing is removed yet.

    These are worktrees of instances and temporary folders.

    Args:
        repository: The repository.
        paths: The workspace's folders.
    """
    return Leftovers(
        repository,
        worktrees_dir=paths.worktrees_dir,
        scratch_dir=paths.state_dir / "scratch",
        kept_dir=paths.state_dir / KEPT_NAME,
        find_scratch=find_scratch_of_the_dead,
        measure=worktree_size,
    )


async def worktrees_at(root: Path, paths: WorkspacePaths) -> list[WorktreeEntry]:
    """Return the worktrees of this workspace's instances that git knows in the repository at `root`; perhaps none.

    One whose folder is gone is among them until git forgets it.

    Raises:
        GitUnavailable: git is missing, or `root` is in no repository.
        GitError: git fails.
    """
    entries = await (await open_repository(root)).list_worktrees()
    return [entry for entry in entries if entry.instance and entry.path.parent == paths.worktrees_dir]


async def heads_and_dirt(root: Path, places: Sequence[tuple[str, str]]) -> list[tuple[str | None, bool | None]]:
    """Return for each worktree the head of its branch, and whether its files differ from it; None for what is unknown.

    Both are None if there is no such branch; the second alone if the worktree is gone or cannot be read.

    Args:
        root: The repository's checkout.
        places: Path and branch of each worktree, the branch without `refs/heads/`.

    Raises:
        GitUnavailable: git is missing, or `root` is in no repository.
    """
    repository = await open_repository(root)
    conditions: list[tuple[str | None, bool | None]] = []
    for path, branch in places:
        head, dirty = await repository.resolve(f"refs/heads/{branch}"), None
        if head is not None:
            with contextlib.suppress(AegisError):
                dirty = await repository.snapshot_tree(Path(path)) != await repository.tree_of(head)
        conditions.append((head, dirty))
    return conditions


def worktree_size(path: Path) -> int:
    """Return the bytes that a worktree takes on disk, 0 if it is gone; blocking.

    What cannot be read is not counted; nothing is raised.
    """
    return size_of([path])


async def unsaved_paths(root: Path, worktree: Path, branch: str) -> list[str]:
    """Return the paths in a worktree that differ from the head of its branch, relative to the worktree, sorted.

    New files are among them unless git ignores them. Empty if nothing differs, or there is no such branch.

    Args:
        root: The repository's checkout.
        worktree: The worktree.
        branch: Its branch, without `refs/heads/`.

    Raises:
        AegisError: A git command fails.
    """
    repository = await open_repository(root)
    head = await repository.resolve(f"refs/heads/{branch}")
    tree = await repository.snapshot_tree(worktree)
    return [change.path for change in await repository.changed_paths(head, tree)] if head else []


async def rescues_at(root: Path) -> Rescues:
    """Open the repository at `root` and return its `Rescues`, which lists and deletes saved work; nothing is read yet.

    Raises:
        GitUnavailable: git is missing, or `root` is in no repository.
    """
    return Rescues((await open_repository(root)).rescues)


def retention_of(settings: Settings) -> Retention:
    """Return the limits on saved work that the settings give: its days, the days of merged work, and its bytes."""
    chosen = settings.rescue
    return Retention(chosen.days, chosen.merged_days, chosen.budget_mb * 1024 * 1024)


def pusher_at(root: Path) -> Pusher:
    """Return the `Pusher` for the checkout at `root`, which pushes as the person; git is not started yet."""
    return GitPusher(root)


async def make_setup(root: Path) -> Setup:
    """Return the `Setup` of the repository at `root`, with the role files that come with the program; changes nothing.

    Raises:
        GitUnavailable: git is missing, or `root` is in no repository.
        OSError: A role file of the program cannot be read.
    """
    repository = await open_repository(root)
    roles = {path.stem: path.read_text("utf-8") for path in SHIPPED.glob("*.md")}
    return Setup(root, repository.common_dir, roles)


async def worktree_checks_at(folder: Path, budget_mb: int, environ: Mapping[str, str]) -> list[Check]:
    """Return the check of `doctor` of the space that worktrees take on disk; empty outside a repository.

    Args:
        folder: A folder in the repository.
        budget_mb: What they may take, in MiB.
        environ: The person's environment.
    """
    try:
        repository = await open_repository(folder)
        sizes = await leftovers_of(repository, workspace_paths(repository.key, environ)).sizes()
    except GitUnavailable:
        return []
    except (AegisError, OSError) as error:
        return [Check("worktree space", False, str(error), "aegis-tui worktree list")]
    used_mb = sum(sizes.values()) // (1024 * 1024)
    fix = "aegis-tui worktree list shows them; worktree repair removes unused ones and saves their work"
    return [Check("worktree space", used_mb <= budget_mb, f"{used_mb:,} of {budget_mb:,} MiB", fix)]
