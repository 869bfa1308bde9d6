"""Specs in the core: which piece of work exists, what it waits for, where it stands (SPEC-3, SPEC-5, SPEC-10).

The file is the truth for content; these events are the truth for live status. A spec event is also a ping (SPEC-4): it
names the spec by `specId` and `path` and never carries its text.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any, Literal, assert_never

from pydantic import BaseModel, Field

from aegis_tui.domain.model import EventData, Key, Progress

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


class SpecCreated(EventData):
    """A spec exists."""

    type: Literal["specs.created"] = "specs.created"
    specId: str
    path: str
    title: str
    run: str | None = None
    piece: str | None = None
    dependencies: tuple[str, ...] = ()
    priority: int = 0


class SpecTaskAssigned(EventData):
    """One instance, and no other, works on the spec from here (SPEC-10)."""

    type: Literal["specs.task-assigned"] = "specs.task-assigned"
    specId: str
    path: str
    agent: str
    base_oid: str


class SpecInProgress(EventData):
    """Its instance has started."""

    type: Literal["specs.in-progress"] = "specs.in-progress"
    specId: str
    path: str


class SpecDiffSubmitted(EventData):
    """Its instance handed in `base_oid..head_oid`, with the fencing tokens it wrote joint paths under."""

    type: Literal["specs.diff-submitted"] = "specs.diff-submitted"
    specId: str
    path: str
    base_oid: str
    head_oid: str
    tokens: tuple[int, ...]


class SpecUpdated(EventData):
    """Its content or status changed otherwise."""

    type: Literal["specs.updated"] = "specs.updated"
    specId: str
    path: str
    status: SpecStatus


class SpecTaskCompleted(EventData):
    """One of its tasks is done."""

    type: Literal["specs.task-completed"] = "specs.task-completed"
    specId: str
    path: str
    taskId: str


class SpecCompleted(EventData):
    """Its work is on the working ref."""

    type: Literal["specs.completed"] = "specs.completed"
    specId: str
    path: str


class SpecFailed(EventData):
    """It could not be done."""

    type: Literal["specs.failed"] = "specs.failed"
    specId: str
    path: str
    reason: str


class TaskUpdated(EventData):
    """What an agent says of one task of its spec."""

    type: Literal["task:updated"] = "task:updated"
    spec_id: str
    task_id: str
    status: str
    progress: Progress = 0.0


SpecEvent = (
    SpecCreated
    | SpecTaskAssigned
    | SpecInProgress
    | SpecDiffSubmitted
    | SpecUpdated
    | SpecTaskCompleted
    | SpecCompleted
    | SpecFailed
    | TaskUpdated
)


class SpecState(BaseModel):
    """What the core knows of one spec."""

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


def find_cycle(dependencies: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """The first dependency cycle as a closed path (`a, b, a`), or an empty tuple (SPEC-5)."""
    done: set[str] = set()
    for start in dependencies:
        if cycle := find_cycle_from(start, lambda name: dependencies.get(name, ()), done=done):
            return cycle
    return ()


def find_cycle_from(
    start: str, needs: Callable[[str], Iterable[str]], *, done: set[str] | None = None
) -> tuple[str, ...]:
    """The first cycle that can be reached from one name, as a closed path; an empty tuple when there is none.

    Args:
        start: Where to begin; what cannot be reached from it is not looked at.
        needs: What a name depends on.
        done: Names that are known to lead to no cycle; those that are found to are added.
    """
    done = set() if done is None else done
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
"""Nothing follows in these."""

KEPT_ENDED = 64
"""Ended specs outside runs that stay in the state, the newest ones."""

KEPT_PAST = 10_000
"""Earlier ones of which the state keeps the id and how they ended."""


class SpecTable:
    """The specs of a workspace that are open or newly ended, by id; of earlier ones how they ended."""

    def __init__(self) -> None:
        self.by_id: dict[str, SpecState] = {}
        self.past: dict[str, str] = {}
        """Status by id of the newest `KEPT_PAST` that are forgotten, oldest first."""

    def is_known(self, spec_id: str) -> bool:
        """Whether a spec of that id exists or did."""
        return spec_id in self.by_id or spec_id in self.past

    def forget_ended(self, kept_runs: Container[str]) -> None:
        """Keep what is open, what belongs to one of these runs, and the newest of what ended."""
        gone = [spec for spec in self.by_id.values() if spec.run is not None and spec.run not in kept_runs]
        ended = [spec for spec in self.by_id.values() if spec.run is None and spec.status in ENDED]
        gone += ended[: max(0, len(ended) - KEPT_ENDED)]
        for spec in gone:
            del self.by_id[spec.spec_id]
            self.past[spec.spec_id] = spec.status
        while len(self.past) > KEPT_PAST:
            del self.past[next(iter(self.past))]

    def evolve(self, data: SpecEvent) -> frozenset[Key]:
        """Apply one event. Total: an event about an unknown spec changes nothing."""
        if isinstance(data, SpecCreated):
            self.by_id[data.specId] = SpecState(
                spec_id=data.specId, **data.model_dump(exclude={"type", "specId"}), status="approved"
            )
            return frozenset({("spec", data.specId)})
        spec_id = data.spec_id if isinstance(data, TaskUpdated) else data.specId
        if (spec := self.by_id.get(spec_id)) is None:
            return frozenset()
        spec.rev += 1
        _advance(spec, data)
        return frozenset({("spec", spec_id)})

    def ready(self) -> list[SpecState]:
        """Specs that wait for nobody, most urgent first (SPEC-5)."""
        free = (spec for spec in self.by_id.values() if self.is_ready(spec))
        return sorted(free, key=lambda spec: (-spec.priority, spec.spec_id))

    def is_ready(self, spec: SpecState) -> bool:
        """Whether it waits for nobody; looks at its own dependencies only."""
        return spec.status == "approved" and all(map(self._is_completed, spec.dependencies))

    def _is_completed(self, spec_id: str) -> bool:
        spec = self.by_id.get(spec_id)
        return (spec.status if spec else self.past.get(spec_id)) == "completed"

    def dump(self) -> list[dict[str, Any]]:
        """A plain form for snapshots."""
        return [spec.model_dump(mode="json") for spec in self.by_id.values()]

    @classmethod
    def load(cls, plain: list[dict[str, Any]], past: Iterable[tuple[str, str]] = ()) -> SpecTable:
        """The table that `dump` described, with its `past`."""
        table = cls()
        table.past = dict(past)
        for item in plain:
            spec = SpecState.model_validate(item)
            table.by_id[spec.spec_id] = spec
        return table


def _advance(spec: SpecState, data: SpecEvent) -> None:
    match data:
        case SpecTaskAssigned():
            spec.agent, spec.status = data.agent, "planning"
        case SpecInProgress():
            spec.status = "in-progress"
        case SpecDiffSubmitted():
            spec.status = "diff-submitted"
        case SpecUpdated():
            spec.status = data.status
        case SpecTaskCompleted():
            spec.tasks[data.taskId] = "completed"
        case SpecCompleted():
            spec.status, spec.progress = "completed", 1.0
        case SpecFailed():
            spec.status = "failed"
        case TaskUpdated():
            spec.tasks[data.task_id], spec.progress = data.status, data.progress
        case SpecCreated():
            return
        case _:
            assert_never(data)
