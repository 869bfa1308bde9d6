"""The events of specs and their tasks (contract 6, SPEC-4). Each names the spec and never carries its text."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.model import EventData, FrozenModel, Progress
from aegis_tui.domain.spec.model import SpecStatus


class SpecContent(FrozenModel):
    """What the hub uses of the content of a spec's file."""

    digest: str
    """Of the whole content; empty if the file is gone."""
    title: str
    priority: int = 0
    dependencies: tuple[str, ...] = ()


class SpecCreated(EventData):
    """A spec was added."""

    type: Literal["specs.created"] = "specs.created"
    specId: str
    path: str
    title: str
    run: str | None = None
    piece: str | None = None
    dependencies: tuple[str, ...] = ()
    priority: int = 0
    status: SpecStatus = "approved"
    digest: str = ""
    """Of the content of its file; empty for a spec without one."""


class SpecTaskAssigned(EventData):
    """The spec was assigned to one instance, which alone works on it from now on (SPEC-10)."""

    type: Literal["specs.task-assigned"] = "specs.task-assigned"
    specId: str
    path: str
    agent: str
    base_oid: str


class SpecInProgress(EventData):
    """The instance that the spec is assigned to has started."""

    type: Literal["specs.in-progress"] = "specs.in-progress"
    specId: str
    path: str


class SpecDiffSubmitted(EventData):
    """The assigned instance submitted `base_oid..head_oid`, with the fencing tokens of its writes under locks."""

    type: Literal["specs.diff-submitted"] = "specs.diff-submitted"
    specId: str
    path: str
    base_oid: str
    head_oid: str
    tokens: tuple[int, ...]


class SpecUpdated(EventData):
    """The content or the status of the spec changed in another way."""

    type: Literal["specs.updated"] = "specs.updated"
    specId: str
    path: str
    status: SpecStatus
    by_run: str | None = None
    """The run that was started for the spec with this event."""
    pieces: tuple[str, ...] = ()
    """The features of that run that are its work; empty if all are."""
    content: SpecContent | None = None
    """What its file says now; None if the file did not change."""
    waits: str | None = None
    """Why the approved spec cannot be started now; empty if nothing is missing any more, None if that is as before."""
    is_seen: bool = False
    """Whether with this event the person says that they know how the spec ended."""


class SpecTaskCompleted(EventData):
    """A task of the spec is done."""

    type: Literal["specs.task-completed"] = "specs.task-completed"
    specId: str
    path: str
    taskId: str


class SpecCompleted(EventData):
    """The work of the spec is merged into the working ref."""

    type: Literal["specs.completed"] = "specs.completed"
    specId: str
    path: str
    oid: str = ""
    """The commit with its result; empty for a spec of a run, whose result is a part of the run's commit."""
    branch: str = ""
    """The branch on which that commit is."""


class SpecFailed(EventData):
    """The spec could not be completed."""

    type: Literal["specs.failed"] = "specs.failed"
    specId: str
    path: str
    reason: str


class TaskUpdated(EventData):
    """An agent reported the status of one task of its spec."""

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
