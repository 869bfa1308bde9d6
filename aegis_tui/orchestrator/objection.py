"""What is said before a run starts about a repository: why it cannot carry one, and what a person should know (FLOW-2).

Pure functions over what was found. Each refusal names the command that helps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aegis_tui.errors import AegisError, GitUnavailable, Refused, Unavailable
from aegis_tui.ports.repository_condition import RepositoryCondition

SPARE_BYTES = 64 << 20
"""What has to stay free besides the worktrees: the log, the objects of commits, what tests write."""
_SHOWN = 5


def objection(condition: RepositoryCondition) -> AegisError | None:
    """The first reason why no run can work in a repository; None where there is none."""
    return next(_objections(condition), None)


def _objections(condition: RepositoryCondition) -> Iterator[AegisError]:
    if condition.lost_alternates:
        lost = condition.lost_alternates[0]
        yield GitUnavailable(
            f"the repository borrows objects from {lost}, which is not there",
            f"bring {lost} back, or correct objects/info/alternates in the git folder",
            code="preflight.alternates",
        )
    if closed := condition.closed:
        yield Refused(
            f"no commit can be made: {_named(map(str, closed))} cannot be written by you",
            f"make it writable: chmod -R u+w {closed[0]}, and sudo chown -R $(id -u) {closed[0]} where it is another's",
            code="preflight.store",
        )
    for item in condition.missing_filters:
        yield Refused(
            f"{item.example} goes through the filter {item.name}, which is required and whose program {item.program} "
            "is not there",
            f"install {item.program}, or run: git config --unset filter.{item.name}.required",
            code="preflight.filter",
        )
    if condition.partial is not None and condition.partial.problem:
        partial = condition.partial
        yield Unavailable(
            f"this is a partial clone that lacks {partial.missing} objects of HEAD, and its remote {partial.remote} "
            f"does not give them: {partial.problem}",
            f"make the remote reachable: git remote -v; then: git fetch --refetch {partial.remote}",
            code="preflight.partial-clone",
        )


def disk_objection(*, free_bytes: int, checkout_bytes: int, worktrees: int, place: str) -> AegisError | None:
    """Why the disk of the state folder is too full for a run; None where it is not.

    Args:
        free_bytes: What is free there.
        checkout_bytes: What one worktree takes.
        worktrees: How many there will be at once.
        place: The state folder.
    """
    wanted = SPARE_BYTES + checkout_bytes * worktrees
    if free_bytes >= wanted:
        return None
    return Refused(
        f"the disk of {place} has {_size(free_bytes)} free; {worktrees} worktrees of this repository "
        f"need {_size(wanted)}",
        "free space there, use fewer workers (--workers), or move the state: XDG_STATE_HOME",
        code="preflight.disk",
    )


def remarks(condition: RepositoryCondition) -> tuple[str, ...]:
    """What a person should know before work starts, one sentence each."""
    return tuple(_remarks(condition))


def _remarks(condition: RepositoryCondition) -> Iterator[str]:
    if condition.signs_commits:
        yield (
            "commit.gpgSign is set, but the result is not signed: nobody is here to give the key; "
            "sign it when you take it over: git commit --amend --no-edit -S"
        )
    if condition.is_sparse:
        yield "your checkout is sparse; agents and QA work on the whole tree"
    if condition.submodules:
        yield (
            f"submodules are empty for agents: {_named(condition.submodules)}; "
            "QA has those that your checkout has: git submodule update --init"
        )


def _named(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


def _size(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 30):.1f} GiB" if size_bytes >= 1 << 30 else f"{size_bytes / (1 << 20):.0f} MiB"
