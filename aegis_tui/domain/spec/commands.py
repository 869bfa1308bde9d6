"""The commands about specs and their tasks."""

from __future__ import annotations

from typing import Any, Literal

from aegis_tui.domain.field import Name, Note
from aegis_tui.domain.model import CommandData, Count, Progress


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


SpecClientCommand = SpecCreate | TaskUpdate | TaskClaim
