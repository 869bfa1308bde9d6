"""The person's git hooks for a commit, as they are run on the result of a run (GIT-6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

HOOKS = ("prepare-commit-msg", "commit-msg", "pre-commit")
"""The hooks that can refuse or change a commit before it is made, in the order in which they are run here."""


@dataclass(frozen=True, slots=True)
class FoundHooks:
    """The hooks that a commit on a base would start."""

    base_oid: str
    """The commit whose versions of tracked hooks count, and of the files that configure them."""
    programs: Mapping[str, Path] = field(default_factory=dict)
    """Name of a hook -> its program: an absolute path, or one relative to the worktree."""
    shown: tuple[Path, ...] = ()
    """What a sandbox must show, read-only, so that the programs can be started."""
    untracked: tuple[str, ...] = ()
    """Folders of the checkout with hooks that git does not track, as husky makes them; relative to its top."""


class CommitHooks(Protocol):
    """Finds the hooks, and prepares the commit that they are run on. Runs none of them."""

    async def find(self, base_oid: str) -> FoundHooks:
        """Return the hooks of `HOOKS` that git would start for a commit on a base; none is no error.

        A hook that may not be executed is left out, as git does.

        Raises:
            GitError: There is no such commit, or git fails.
        """
        ...

    async def staged(self, hooks: FoundHooks, oid: str) -> str:
        """Return the commit to check out for the hooks: `oid`, in which hooks and their settings are those of the base.

        That is `oid` itself unless it changes one of them.

        Raises:
            GitError: There is no such commit, or git fails.
        """
        ...

    async def lay_out(
        self, folder: Path, hooks: FoundHooks, *, worktree: Path, oid: str, branch: str
    ) -> dict[str, str]:
        """Create a repository in which a commit of everything in `oid` is about to be made on the base.

        It borrows the objects of the person's repository. The hooks that git does not track are copied to `untracked`
        below the folder.

        Args:
            folder: Where it is created; must be an empty folder that no agent could write so far.
            hooks: From `find`.
            worktree: Its worktree, in which `oid` is checked out.
            oid: The result of `staged`. For the base itself, the commit is one on the base's first parent.
            branch: The name of the branch that the commit is for.

        Returns:
            The variables with which git starts hooks there.

        Raises:
            GitError: git fails.
            OSError: A file cannot be copied or written.
        """
        ...

    async def messages(self, oids: Sequence[str]) -> list[str]:
        """Return the messages of commits, in this order.

        Raises:
            GitError: There is no such commit.
        """
        ...
