"""What `new`, `assign` and `broadcast` print with `--json` (contract 9)."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class NewTaskOutput(TypedDict):
    """`new`."""

    task: str
    """The id of the spec."""
    spec_ids: list[str]
    mode: str
    path: str
    """Its file, relative to the top folder of the checkout."""


class AssignedOutput(TypedDict):
    """`assign`."""

    task: str
    spec_ids: list[str]
    subtask: str
    """The id of the task in the spec."""
    agent_id: str
    seq: int
    """The number of the message to the instance."""
    delivery: Literal["queued"]


class BroadcastOutput(TypedDict):
    """`broadcast`."""

    event: str
    data: dict[str, Any]
