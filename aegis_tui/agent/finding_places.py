"""Whether the findings of a reviewer name places that are in the reviewed tree (FLOW-11)."""

from __future__ import annotations

from collections.abc import Iterable

from aegis_tui.agent.files import OwnWorktree
from aegis_tui.domain.review.finding import Finding
from aegis_tui.errors import AegisError, UsageError


async def misplaced(findings: Iterable[Finding], worktree: OwnWorktree) -> list[str]:
    """Return what is wrong with the places that findings name, in their order; empty if every line exists.

    A finding that names no line is not checked: it may be about a file that the change deletes.

    Args:
        findings: What the reviewer found.
        worktree: The reviewed tree.
    """
    problems = []
    for number, item in enumerate(findings):
        if item.file is None or item.lines is None:
            continue
        try:
            last = await _last_line(item.file, worktree)
        except AegisError as error:
            problems.append(f"findings.{number}: {error.message}; for a deleted or binary file leave the line out")
            continue
        if item.lines[1] > last:
            problems.append(f"findings.{number}: {item.file} has {last} lines, and the finding names {item.lines[1]}")
    return problems


async def _last_line(path: str, worktree: OwnWorktree) -> int:
    """Return the number of the last line of a file; 1 if it is empty.

    Raises:
        AegisError: There is no such file, it lies outside the worktree, or is no text.
    """
    name = worktree.locate(path)
    await worktree.complete(name)
    try:
        return max(1, len(worktree.load(name).splitlines()))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
