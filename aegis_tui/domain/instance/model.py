"""Instances: one running agent each, from the plan to start it until its worktree is reclaimed.

An instance of a run moves through `Phase` only forwards; an agent that a person connects may join again. What an agent
reports (`state`, `progress`) is kept apart from what the hub knows (`phase`): no report opens a gate (FLOW-2).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from aegis_tui.domain.cause import Cause
from aegis_tui.domain.hosting.screen_prompt import ScreenPrompt
from aegis_tui.domain.memory.model import Advice
from aegis_tui.domain.model import FrozenModel, StateModel


class Phase(StrEnum):
    """The phase of an instance's life, as the hub knows it."""

    PLANNED = "planned"
    PREPARED = "prepared"
    LAUNCHED = "launched"
    JOINED = "joined"
    STOPPING = "stopping"
    GONE = "gone"
    RECLAIMED = "reclaimed"


ENDED = frozenset({Phase.GONE, Phase.RECLAIMED})
"""Phases of an instance whose program has ended."""

ALIVE = frozenset({Phase.PLANNED, Phase.PREPARED, Phase.LAUNCHED, Phase.JOINED})
"""Phases in which an instance can still do its task."""

TaskKind = Literal["design", "foundation", "implement", "review", "scout", "free"]
AgentStateName = Literal[
    "starting",
    "exploring",
    "planning",
    "implementing",
    "testing",
    "self-QA",
    "reviewing",
    "waiting",
    "asking",
    "blocked",
    "limited",
    "idle",
    "done",
    "failed",
    "unknown",
]

StateSource = Literal["hub", "acp", "hook", "json", "worktree", "title", "screen", "process"]
"""From what a state is known: the agent's own report, its program's protocol, hooks or output, the files that changed,
the title or screen of its pane, or its process."""


MOST_NAMES = 64
"""The most different names of one instance that are recorded."""


class Tokens(FrozenModel):
    """The total numbers of model tokens that an instance has used so far."""

    prompt: int = Field(0, ge=0)
    completion: int = Field(0, ge=0)
    cached: int = Field(0, ge=0)


TASK_DONE = frozenset(
    {
        "verdict given",
        "design proposed",
        "foundation merged",
        "foundation composed",
        "report delivered",
        "brief handed over",
    }
)
"""Stop reasons of an instance whose task is done; earlier versions logged `brief handed over` for a scout's report."""


class ShownPrompt(FrozenModel):
    """A question that the program of an instance asks the person on its screen."""

    prompt: str
    """Its id, `w01-p2`: an answer names it."""
    screen: ScreenPrompt
    source: Literal["title", "screen"]
    """By what it was recognized."""


_SAYS_MORE = frozenset({"asking", "blocked", "limited", "done", "failed"})
"""Reported states that a question on the screen does not change."""


class Instance(StateModel):
    """What the hub knows of one instance. Changed in place by `InstanceTable` only."""

    agent_id: str
    instance_id: str
    role: str
    kind: str
    run: str | None = None
    task: TaskKind = "free"
    piece: str | None = None
    review_id: str | None = None
    base_oid: str | None = None
    branch: str | None = None
    partition: tuple[str, ...] = ()
    replaces: str | None = None
    phase: Phase = Phase.PLANNED
    worktree: str | None = None
    token_hash: str | None = None
    pane: str | None = None
    pid: int | None = None
    session: str | None = None
    planned_at: str
    started_at: str | None = None
    ended_at: str | None = None
    last_seen: str | None = None
    state: AgentStateName = "starting"
    progress: float = 0.0
    source: str = "hub"
    evidence: str | None = None
    """What its program did by which the state was recognized, if the agent does not just say so."""
    state_at: str | None = None
    """Since when `word` has been what it is."""
    note: str | None = None
    said: str | None = None
    """The last note that the agent reported; `note` may be the hub's."""
    until: str | None = None
    """When its state ends by itself, as it reported: the end of a usage limit."""
    cause: Cause | None = None
    """The error that it last reported as failed or blocked, or else the one that ended it."""
    tokens: Tokens = Tokens.model_construct()
    blocked_names: tuple[str, ...] = ()
    """Names that programs in its sandbox looked up; the sandbox refused each."""
    write_checks: str | None = None
    """Which layers refuse its writes outside its partition, as it found by trying them; None if it has not said."""
    advice: tuple[Advice, ...] = ()
    """What its brief tells it of earlier failures (MEM-1)."""
    around: str = ""
    """What its brief tells it of the code around its partition (MAP-3)."""
    prompts: int = 0
    asks: ShownPrompt | None = None
    """What its program asks the person on its screen."""
    lost: bool = False
    rescue_ref: str | None = None
    stop_reason: str | None = None  # why the hub ended it

    @property
    def word(self) -> str:
        """Its state in one word, the same in all views.

        `lost` if it is; else the state that it reported, or `asking` while its program asks the person on its screen,
        until it has ended. Then that word is kept if it is `done` or `failed`; else it is `done` if its task is done,
        or `ended`.
        """
        if self.lost:
            return "lost"
        if self.asks is not None and self.is_alive and self.state not in _SAYS_MORE:
            return "asking"
        if self.phase not in (Phase.GONE, Phase.RECLAIMED) or self.state in ("done", "failed"):
            return self.state
        return "done" if self.stop_reason in TASK_DONE else "ended"

    @property
    def is_alive(self) -> bool:
        """True while the instance can still do its task: it is not lost, stopping or ended."""
        return self.phase in ALIVE
