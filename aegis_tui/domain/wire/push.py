"""What `aegis-tui push` and `aegis-tui pr` print with `--json`, as in `output` (GIT-6, GIT-8)."""

from __future__ import annotations

from typing import TypedDict

from aegis_tui.domain.wire.piece import RuleFindingFields


class PushedCommit(TypedDict):
    """A commit that the remote gets."""

    oid: str
    subject: str


class PushOutput(TypedDict):
    """`push`."""

    pushed: bool
    remote: str
    url: str
    """Without a password."""
    branch: str
    oid: str
    old_oid: str | None
    """What the branch on the remote pointed to before; null for a new one."""
    commits: list[PushedCommit]
    findings: list[RuleFindingFields]
    """What the merge rules found in them."""
    scanner: str


class PullRequestOutput(TypedDict):
    """`pr`: a text for a pull request."""

    run: str
    branch: str
    title: str
    body: str
