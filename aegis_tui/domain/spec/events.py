"""What can happen to a spec and its tasks (contract 6, SPEC-4): each names the spec and never carries its text."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.model import EventData, Progress
from aegis_tui.domain.spec.model import SpecStatus


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
