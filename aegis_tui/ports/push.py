"""Pushing a commit to a remote of the person, with their own hooks and credentials (GIT-6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PushPlan:
    """What a push would send, and where to."""

    remote: str
    """The name of the remote."""
    url: str
    """Its push URLs, separated by commas, without a user's password."""
    branch: str
    """The short name of the branch on the remote."""
    oid: str
    old_oid: str | None
    """The commit that the branch on the remote points to; None if there is none."""
    base_oid: str | None
    """The newest commit of the remote that the commit builds on, as far as this repository knows; None for none."""
    commits: tuple[tuple[str, str], ...]
    """Id and subject of each commit that the remote would get, newest first."""
    is_fast_forward: bool
    """False if the branch on the remote has commits that would be lost; such a push is refused."""


class Pusher(Protocol):
    """Pushes from one repository. Never forces, and never pushes anything but the named commit."""

    def plan(self, source: str, remote: str | None, branch: str | None) -> PushPlan:
        """Ask the remote and return what a push would do; blocking, and git may ask the person for credentials.

        Pushes nothing.

        Args:
            source: A branch or any commit.
            remote: Its name; None for the one that git itself would push to, else the only one, else `origin`.
            branch: The short name of the branch on the remote; None for the name of `source`, which has to be a branch.

        Raises:
            UsageError: There is no such commit or remote, none is named and none is obvious, or no valid branch is
                named.
            GitError: The remote cannot be asked, or does not answer within two minutes.
            GitUnavailable: git is missing.
        """
        ...

    def push(self, plan: PushPlan) -> None:
        """Push the commit of a plan to its branch; blocking.

        The person's hooks run, and git's messages go to the terminal.

        Raises:
            GitError: The remote or a hook refuses, also because the branch has other commits by now.
            OSError: git cannot be started.
        """
        ...
