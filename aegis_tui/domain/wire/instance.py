"""Instances as JSON."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class AdviceFields(TypedDict):
    """One line of advice."""

    failure: str
    """The id of the failure."""
    line: str
    reason: str
    """Why it got this advice."""


class TokensFields(TypedDict):
    """The total numbers of model tokens that an instance has used so far."""

    prompt: int
    completion: int
    cached: int


class CauseFields(TypedDict):
    """Why something failed."""

    code: str
    message: str
    hint: str
    outlook: str


class ScreenPromptFields(TypedDict):
    """A question as the screen shows it, as one line of text."""

    words: str
    choices: list[str]
    """Empty if it can be answered in the pane only."""
    digest: str


class ShownPromptFields(TypedDict):
    """A question that the program of an instance asks the person on its screen."""

    prompt: str
    """Its id, which an answer names."""
    screen: ScreenPromptFields
    source: str


class InstanceFields(TypedDict):
    """What the hub knows of one instance."""

    agent_id: str
    instance_id: str
    role: str
    kind: str
    run: str | None
    task: str
    piece: str | None
    review_id: str | None
    base_oid: str | None
    branch: str | None
    partition: list[str]
    replaces: str | None
    phase: str
    worktree: str | None
    pane: str | None
    pid: int | None
    session: str | None
    planned_at: str
    started_at: str | None
    ended_at: str | None
    last_seen: str | None
    state: str
    progress: float
    source: str
    evidence: str | None
    """What its program did by which the state was recognized."""
    state_at: str | None
    """Since when `word` has been what it is."""
    note: str | None
    said: str | None
    cause: CauseFields | None
    tokens: TokensFields
    prompts: int
    lost: bool
    rescue_ref: str | None
    stop_reason: str | None
    blocked_names: list[str]
    write_checks: str | None
    advice: list[AdviceFields]
    """What its brief told it of earlier failures."""
    until: str | None
    word: str
    """Its state in one word."""
    asks: NotRequired[ShownPromptFields | None]
    """What its program asks the person on its screen."""


class InstanceView(InstanceFields):
    """An instance in the shared context."""

    scope_requests: int
    """How many scope requests it has made."""


class ActiveAgent(TypedDict):
    """An instance that has a session."""

    agent_id: str
    agent_type: str
    partition: list[str]
    connected_at: str | None
