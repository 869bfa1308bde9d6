"""Specs in the core: which piece of work exists, what it waits for, where it stands (SPEC-3, SPEC-5, SPEC-10).

The file is the truth for content; these events are the truth for live status. A spec event is also a ping (SPEC-4): it
names the spec by `specId` and `path` and never carries its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

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
        path: list[str] = []
        stack: list[tuple[str, Iterator[str]]] = [(start, iter(dependencies.get(start, ())))]
        on_path = {start}
        path.append(start)
        while stack:
            name, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                on_path.discard(path.pop())
                done.add(name)
            elif following in on_path:
                return (*path[path.index(following) :], following)
            elif following not in done:
                stack.append((following, iter(dependencies.get(following, ()))))
                path.append(following)
                on_path.add(following)
    return ()


class SpecTable:
    """All specs of a workspace, by id."""

    def __init__(self) -> None:
        self.by_id: dict[str, SpecState] = {}

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
        done = {spec.spec_id for spec in self.by_id.values() if spec.status == "completed"}
        free = (s for s in self.by_id.values() if s.status == "approved" and done.issuperset(s.dependencies))
        return sorted(free, key=lambda spec: (-spec.priority, spec.spec_id))

    def dump(self) -> list[dict[str, Any]]:
        """A plain form for snapshots."""
        return [spec.model_dump(mode="json") for spec in self.by_id.values()]

    @classmethod
    def load(cls, plain: list[dict[str, Any]]) -> SpecTable:
        """The table that `dump` described."""
        table = cls()
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
