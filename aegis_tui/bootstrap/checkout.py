"""Looks at the repository of a checkout."""

from __future__ import annotations

from pathlib import Path

from aegis_tui.adapters.git.describe import describe_commit
from aegis_tui.adapters.git.folder import find_scratch_of_the_dead
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.agent.role import SHIPPED
from aegis_tui.application.leftovers import Leftovers
from aegis_tui.application.setup import Setup
from aegis_tui.domain.run.report_model import CommitSeen
from aegis_tui.ports.repository import Ref, Repository, WorktreeEntry
from aegis_tui.sdk.discovery import WorkspacePaths


async def describe_commit_at(root: Path, oid: str) -> CommitSeen:
    """What git says of a commit of the repository at `root`: subject, files, trailers."""
    repository = await open_repository(root)
    return await describe_commit(repository.common_dir, oid)


async def refs_at(root: Path, prefix: str) -> tuple[Ref, ...]:
    """The refs below a prefix in the repository at `root`."""
    return await (await open_repository(root)).list_refs(prefix)


async def leftovers_at(root: Path, paths: WorkspacePaths) -> Leftovers:
    """What looks for what nobody owns in the workspace of the repository at `root`."""
    return leftovers_of(await open_repository(root), paths)


def leftovers_of(repository: Repository, paths: WorkspacePaths) -> Leftovers:
    """As `leftovers_at`, for a repository that is open."""
    return Leftovers(
        repository,
        worktrees_dir=paths.worktrees_dir,
        scratch_dir=paths.state_dir / "scratch",
        find_scratch=find_scratch_of_the_dead,
    )


async def worktrees_at(root: Path, paths: WorkspacePaths) -> list[WorktreeEntry]:
    """The worktrees of instances that git knows in the repository at `root`."""
    entries = await (await open_repository(root)).list_worktrees()
    return [entry for entry in entries if entry.instance and entry.path.parent == paths.worktrees_dir]


async def unsaved_paths(root: Path, worktree: Path, branch: str) -> list[str]:
    """The paths of a worktree of the repository at `root` that no commit of its branch holds.

    Raises:
        AegisError: What git refuses.
    """
    repository = await open_repository(root)
    head = await repository.resolve(f"refs/heads/{branch}")
    tree = await repository.snapshot_tree(worktree)
    return [change.path for change in await repository.changed_paths(head, tree)] if head else []


async def make_setup(root: Path) -> Setup:
    """What sets the repository at `root` up, with the role files that ship."""
    repository = await open_repository(root)
    roles = {path.stem: path.read_text("utf-8") for path in SHIPPED.glob("*.md")}
    return Setup(root, repository.common_dir, roles)
