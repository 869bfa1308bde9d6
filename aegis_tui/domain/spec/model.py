"""The state of a spec: what it depends on, who works on it, and its status (SPEC-3, SPEC-5, SPEC-10).

The file of a spec is authoritative for its content, the events for its status. A spec event is also a ping (SPEC-4): it
names the spec by `specId` and `path` and never carries its text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from pydantic import Field

from aegis_tui.domain.model import StateModel

SpecStatus = Literal[
    "draft",
    "review",
    "approved",
    "planning",
    "in-progress",
    "diff-submitted",
    "completed",
    "failed",
    "cancelled",
]


class SpecState(StateModel):
    """The state of one spec, computed from its events."""

    spec_id: str
    path: str
    title: str
    run: str | None = None
    piece: str | None = None
    dependencies: tuple[str, ...] = ()
    priority: int = 0
    status: SpecStatus = "approved"
    agent: str | None = None
    rev: int = 1
    tasks: dict[str, str] = Field(default_factory=dict)
    progress: float = 0.0
    digest: str = ""
    """Of the content of its file when it was last observed; empty for a spec without a file."""
    is_gone: bool = False
    """Whether the file does not exist at present."""
    by_run: str | None = None
    """The run that was last started for it; None if there was none since it was approved."""
    pieces: tuple[str, ...] = ()
    """The features of that run that are its work; empty if all are."""
    error: str = ""
    """Why it failed."""
    waits: str = ""
    """Why it cannot be started now, although it is approved; empty if nothing is missing, or it is not its turn."""
    oid: str = ""
    """The commit with its result, if it is completed."""
    branch: str = ""
    """The branch on which that commit is."""
    is_seen: bool = False
    """Whether the person said that they know how it ended."""

    @property
    def has_file(self) -> bool:
        """Whether the spec is that of a file that exists."""
        return bool(self.digest) and not self.is_gone and self.run is None

    @property
    def waits_to_be_seen(self) -> bool:
        """Whether a run has completed it, and the person has not said yet that they know."""
        return self.status == "completed" and self.by_run is not None and not self.is_seen


def find_cycle_from(start: str, needs: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
    """Return the first cycle that can be reached from a name, as a closed path (`a, b, a`).

    Empty when there is none (SPEC-5).

    Args:
        start: The name to begin with; only what can be reached from it is searched.
        needs: Name -> the names that it depends on.
    """
    done: set[str] = set()
    path, on_path = [start], {start}
    stack: list[Iterator[str]] = [iter(needs(start))]
    while stack:
        following = next(stack[-1], None)
        if following is None:
            stack.pop()
            on_path.discard(path[-1])
            done.add(path.pop())
        elif following in on_path:
            return (*path[path.index(following) :], following)
        elif following not in done:
            stack.append(iter(needs(following)))
            path.append(following)
            on_path.add(following)
    return ()


ENDED: frozenset[SpecStatus] = frozenset({"completed", "failed", "cancelled"})
"""The statuses of a spec that has ended."""
