"""The person's checkout: its branch, commit and state. Never changes it, nor its index."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Any

from aegis_tui.adapters.git.discovery import Discovery, workspace_key
from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.errors import GitError, Refused
from aegis_tui.ports.repository import RepositoryFacts

IDENTITY_HINT = 'git config --global user.name "Your Name" && git config --global user.email you@example.org'
"""The commands that give git an identity."""


@dataclass(frozen=True, slots=True)
class _Head:
    branch: str | None
    ignore_case: bool


class Checkout:
    """The checkout from which the repository was opened.

    Its methods raise `GitError` if git fails, and `GitUnavailable` if git cannot be started.

    Args:
        place: The paths of the repository.
        objects: Reads the repository.
    """

    def __init__(self, place: Discovery, objects: Objects) -> None:
        self._place = place
        self._objects = objects

    async def facts(self) -> RepositoryFacts:
        """Return the facts that a run needs before it starts; raises `GitError` if the checkout cannot be read."""
        head = await asyncio.to_thread(_read_head, self._place)
        name, email = await self._objects.person()
        return RepositoryFacts(
            root=self._place.root,
            common_dir=self._place.common_dir,
            key=workspace_key(self._place.common_dir),
            head_oid=await self.head_oid(),
            branch=head.branch,
            user_name=name,
            user_email=email,
            ignore_case=head.ignore_case,
            dirty_paths=await self._count_dirty(),
        )

    async def preflight(self, run: str) -> None:
        """Return if a run with this name may start here; changes nothing.

        Raises:
            Refused: There is no commit, git knows no name or no email address of the person, or a branch has a name
                that blocks the run's branches; the hint is the command that helps.
            GitError: git fails.
        """
        if await self.head_oid() is None:
            hint = "git add . && git commit --allow-empty -m 'Start'"
            raise Refused("the repository has no commit yet", hint, code="preflight.commit")
        await self.identity()
        for branch in ("aegis", f"aegis/{run}"):
            if await self._objects.resolve(f"refs/heads/{branch}") is not None:
                raise Refused(
                    f"the branch {branch} has a name that the run needs for its own branches",
                    f"git branch -m {branch} {branch.replace('/', '-')}-old",
                    code="preflight.branch",
                )

    async def identity(self) -> tuple[str, str]:
        """Return the person's name and email address, as `user.name` and `user.email` are configured.

        Raises:
            Refused: git has no name or no email address configured.
            GitError: git fails.
        """
        name, email = await self._objects.person()
        if not name or not email:
            raise Refused("git does not know who you are", IDENTITY_HINT, code="preflight.identity")
        return name, email

    async def head_oid(self) -> str | None:
        """Return the id of the commit that is checked out; None if the repository has no commit yet.

        Raises:
            GitError: git fails.
        """
        if self._place.git_dir == self._place.common_dir:
            return await self._objects.resolve("HEAD")
        return await self._objects.resolve(f"worktrees/{self._place.git_dir.name}/HEAD")

    async def _count_dirty(self) -> int:
        if self._place.is_bare:
            return 0
        runner = GitRunner(git_dir=self._place.git_dir, cwd=self._place.root)
        answer = await runner.run("status", "--porcelain=v1", "-z", "--no-renames", work_tree=self._place.root)
        return len(answer.fields())


def _read_head(place: Discovery) -> _Head:
    """Return the checked-out branch, and whether git's configuration says that the file system ignores case; blocking.

    The branch is in its written form (contract 3), and None when HEAD is detached.

    GitPython asks the git program itself, because its own readers decode every name and setting as UTF-8.

    Raises:
        GitError: The checkout cannot be read.
    """
    # Imported late: GitPython searches for the git program on import, and fails if there is none.
    import git

    try:
        with git.Repo(place.root) as repo:
            head = _asked(repo, "symbolic-ref", "-q", "HEAD")
            folds = _asked(repo, "config", "--type=bool", "--get", "core.ignoreCase")
    except (git.GitError, OSError, ValueError) as error:
        raise GitError(f"the checkout at {place.root} cannot be read: {error}", "git status") from error
    return _Head(write_name(head.removeprefix("refs/heads/")) if head else None, folds == "true")


def _asked(repo: Any, *question: str) -> str:
    """Return git's answer to a command, one line; empty if it has none or the command fails.

    Raises:
        git.GitError: git cannot be started.
    """
    _, answer, _ = repo.git.execute(
        ["git", *question], with_extended_output=True, with_exceptions=False, stdout_as_string=False
    )
    return os.fsdecode(answer).rstrip("\n")
