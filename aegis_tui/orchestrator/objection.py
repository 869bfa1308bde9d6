"""Reasons why no run can start in a repository, and warnings that the person should see before one does (FLOW-2).

Pure functions over the condition of the repository. Each refusal names the command that helps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aegis_tui.errors import AegisError, GitUnavailable, Refused, Unavailable
from aegis_tui.ports.repository_condition import RepositoryCondition

SPARE_BYTES = 64 << 20
"""Disk space needed besides the worktrees: for the log, the objects of commits, and what tests write."""
_SHOWN = 5


def objection(condition: RepositoryCondition) -> AegisError | None:
    """Return the first reason why no run can work in a repository, as an error to raise; None if there is none.

    In this order: a missing object store that it borrows from, no write permission in the git folder, a required filter
    whose program is missing, objects that a partial clone lacks and its remote does not provide.
    """
    return next(_objections(condition), None)


def _objections(condition: RepositoryCondition) -> Iterator[AegisError]:
    if condition.lost_alternates:
        lost = condition.lost_alternates[0]
        yield GitUnavailable(
            f"the repository borrows objects from {lost}, which does not exist",
            f"restore {lost}, or correct objects/info/alternates in the git folder",
            code="preflight.alternates",
        )
    if closed := condition.closed:
        yield Refused(
            f"no commit can be made: you have no write permission for {_named(map(str, closed))}",
            f"make it writable: chmod -R u+w {closed[0]}; if another user owns it: sudo chown -R $(id -u) {closed[0]}",
            code="preflight.store",
        )
    for item in condition.missing_filters:
        yield Refused(
            f"{item.example} goes through the filter {item.name}, which is required and whose program {item.program} "
            "is not installed",
            f"install {item.program}, or run: git config --unset filter.{item.name}.required",
            code="preflight.filter",
        )
    if condition.partial is not None and condition.partial.problem:
        partial = condition.partial
        yield Unavailable(
            f"this is a partial clone that lacks {partial.missing} objects of HEAD, and its remote {partial.remote} "
            f"does not provide them: {partial.problem}",
            f"make the remote reachable: git remote -v; then: git fetch --refetch {partial.remote}",
            code="preflight.partial-clone",
        )


def disk_objection(*, free_bytes: int, checkout_bytes: int, worktrees: int, place: str) -> AegisError | None:
    """Return, as an error to raise, why the disk of the state folder is too full for a run.

    None if there is enough space. Enough is room for all worktrees and 64 MiB more.

    Args:
        free_bytes: Free space on that disk.
        checkout_bytes: The size of one worktree.
        worktrees: How many worktrees there will be at once.
        place: The state folder, for the message.
    """
    wanted = SPARE_BYTES + checkout_bytes * worktrees
    if free_bytes >= wanted:
        return None
    return Refused(
        f"the disk of {place} has {_size(free_bytes)} free; {worktrees} worktrees of this repository "
        f"need {_size(wanted)}",
        "free space there, use fewer workers (--workers), or move the state folder with XDG_STATE_HOME",
        code="preflight.disk",
    )


def remarks(condition: RepositoryCondition) -> tuple[str, ...]:
    """Return warnings that a person should see before work starts, one sentence each; empty if there are none.

    They are about a result that will not be signed, a sparse checkout, and files of Git LFS and submodules, which
    agents cannot change.
    """
    return tuple(_remarks(condition))


def _remarks(condition: RepositoryCondition) -> Iterator[str]:
    if condition.signs_commits:
        yield (
            "commit.gpgSign is set, but the result is not signed, because nobody can unlock the key during a run; "
            "sign it when you merge it: git commit --amend --no-edit -S"
        )
    if condition.is_sparse:
        yield "your checkout is sparse; agents and QA work on the whole tree"
    if condition.lfs_file:
        yield (
            f"agents can read files of Git LFS, such as {condition.lfs_file}, but not change them: a submission that "
            "changes one is refused, and the file is kept in a rescue ref (aegis-tui rescue list)"
        )
    if condition.submodules:
        yield (
            f"agents can read submodules but not change them: {_named(condition.submodules)}; those that are not "
            "initialised in your checkout are empty (git submodule update --init initialises all)"
        )


def _named(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


def _size(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 30):.1f} GiB" if size_bytes >= 1 << 30 else f"{size_bytes / (1 << 20):.0f} MiB"
