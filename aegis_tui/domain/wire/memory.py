"""The memory of failures as `aegis-tui memory` prints it with `--json` (MEM-2)."""

from __future__ import annotations

from typing import TypedDict


class FailureRow(TypedDict):
    """One failed attempt."""

    id: str
    at: str
    run: str
    piece: str
    spec: str
    """The task in words."""
    agent_id: str
    kind: str
    model: str
    code: str
    error: str
    trace: str
    tried: str
    files: list[str]
    resolution: str
    """Empty while there is none."""
    resolved_by: str


class FailuresOutput(TypedDict):
    """`memory last`."""

    failures: list[FailureRow]


class SimilarRow(FailureRow):
    """One failed attempt that resembles a text."""

    score: float
    """From 0 to 1."""


class SimilarOutput(TypedDict):
    """`memory similar`."""

    failures: list[SimilarRow]


class AgentFailures(TypedDict):
    """The failures of one kind of agent with one model."""

    kind: str
    model: str
    failures: int
    resolved: int


class ByAgentOutput(TypedDict):
    """`memory by-agent`."""

    agents: list[AgentFailures]


class FailureForgottenOutput(TypedDict):
    """`memory forget`."""

    forgotten: str
