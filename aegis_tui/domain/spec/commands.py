"""The commands about specs and their tasks."""

from __future__ import annotations

from typing import Any, Literal

from aegis_tui.domain.field import Name, Note
from aegis_tui.domain.model import CommandData, Count, Progress
from aegis_tui.domain.spec.model import SpecStatus


class SpecCreate(CommandData):
    """Add a spec to the workspace."""

    type: Literal["spec:create"] = "spec:create"
    spec: dict[str, Any]


class TaskUpdate(CommandData):
    """Report the status of one task of a spec."""

    type: Literal["task:update"] = "task:update"
    spec_id: Name
    task_id: Name
    status: Name
    progress: Progress = 0.0
    note: Note | None = None


class TaskClaim(CommandData):
    """Claim a spec that is ready; of several claims exactly one succeeds."""

    type: Literal["task:claim"] = "task:claim"
    spec_id: Name
    task_id: Name | None = None
    expect_rev: Count


class SpecRescan(CommandData):
    """Read the spec files again, or only that of one spec, as if each had just changed. The hub sets `answer`."""

    type: Literal["spec:rescan"] = "spec:rescan"
    spec_id: Name | None = None
    answer: dict[str, Any] | None = None


class SpecObserve(CommandData):
    """Report what the file of a spec says now, or that it is gone (then its digest is empty)."""

    type: Literal["spec:observe"] = "spec:observe"
    spec_id: Name
    path: str
    digest: str
    """Of the content of the file; an observation with the digest of the one before changes nothing."""
    status: SpecStatus = "draft"
    title: str = ""
    priority: int = 0
    dependencies: tuple[str, ...] = ()


class SpecFail(CommandData):
    """Report that no run can be started for a spec, and that no retry would help."""

    type: Literal["spec:fail"] = "spec:fail"
    spec_id: Name
    reason: str


class SpecWait(CommandData):
    """Report why an approved spec cannot be started now; with an empty reason, that nothing is missing any more."""

    type: Literal["spec:wait"] = "spec:wait"
    spec_id: Name
    reason: str


SpecClientCommand = SpecCreate | TaskUpdate | TaskClaim | SpecRescan
SpecHubCommand = SpecObserve | SpecFail | SpecWait
