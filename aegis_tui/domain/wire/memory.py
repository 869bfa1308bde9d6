"""The memory of failures as `aegis-tui memory` prints it with `--json` (MEM-2)."""

from __future__ import annotations

from typing import TypedDict


class FailureRow(TypedDict):
    """One failed attempt of an instance at a piece; its texts have `<secret>` in place of secrets."""

    id: str
    """`RUN-SEQ`, for `memory forget`: the run, and the number of the event that reports it."""
    at: str
    """When it happened (RFC 3339, UTC)."""
    run: str
    piece: str
    spec: str
    """The task in words: title and brief of the piece, or the goal of the run."""
    agent_id: str
    """The instance that failed."""
    kind: str
    """The kind of its agent, such as `native`."""
    model: str
    """The name of the model that the instance worked with; empty if it is not known."""
    code: str
    """`sent-back` for a submission that was refused, else the code of the error."""
    error: str
    """What went wrong, on one line of at most 400 characters."""
    trace: str
    """All that was said about it, at most 4,000 characters."""
    tried: str
    """What the instance did, in its words; may be empty."""
    files: list[str]
    """At most 50 of the files that its submission changed."""
    resolution: str
    """What the submission did that was merged after all; empty while there is none."""
    resolved_by: str
    """The instance that made that submission."""


class FailuresOutput(TypedDict):
    """`memory last`, the newest failure first."""

    failures: list[FailureRow]


class SimilarRow(FailureRow):
    """One failed attempt that resembles a text."""

    score: float
    """How much it resembles it, from 0 to 1."""


class SimilarOutput(TypedDict):
    """`memory similar`, the most similar failure first."""

    failures: list[SimilarRow]


class AgentFailures(TypedDict):
    """The failures of one kind of agent with one model."""

    kind: str
    model: str
    failures: int
    resolved: int
    """How many of them a later submission resolved."""


class ByAgentOutput(TypedDict):
    """`memory by-agent`."""

    agents: list[AgentFailures]


class FailureForgottenOutput(TypedDict):
    """`memory forget`."""

    forgotten: str
    """The id of the failure that was deleted."""
