"""The commands of specs and their tasks."""

from __future__ import annotations

from typing import Any, Literal

from aegis_tui.domain.field import Name, Note
from aegis_tui.domain.model import CommandData, Count, Progress


class SpecCreate(CommandData):
    """Make a spec known."""

    type: Literal["spec:create"] = "spec:create"
    spec: dict[str, Any]


class TaskUpdate(CommandData):
    """What an agent says of one task."""

    type: Literal["task:update"] = "task:update"
    spec_id: Name
    task_id: Name
    status: Name
    progress: Progress = 0.0
    note: Note | None = None


class TaskClaim(CommandData):
    """Take a ready spec; exactly one claim wins."""

    type: Literal["task:claim"] = "task:claim"
    spec_id: Name
    task_id: Name | None = None
    expect_rev: Count


SpecClientCommand = SpecCreate | TaskUpdate | TaskClaim
