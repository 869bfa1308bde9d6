"""What `aegis-tui explain` prints as JSON (contract 9)."""

from __future__ import annotations

from typing import TypedDict


class EvidenceFields(TypedDict):
    """An event from which the state of an instance is derived."""

    seq: int
    timestamp: str
    type: str
    words: str


class SourceFields(TypedDict):
    """What a source says about the state of an instance now."""

    source: str
    state: str | None
    """Null if it is silent."""
    words: str


class ExplainOutput(TypedDict):
    """`explain`."""

    agent_id: str
    state: str
    source: str
    because: str
    """What was seen, by which the state was recognized; empty if the agent just says so."""
    since: str | None
    """Null if the state was recognized only now, or that is not known."""
    sources: list[SourceFields]
    """What the hub and the pane of the instance say now; empty for one that has ended."""
    phase: str
    note: str | None
    last_seen: str | None
    evidence: list[EvidenceFields]
