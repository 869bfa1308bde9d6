"""The commands of runs: from the goal to the commit."""

from __future__ import annotations

from typing import Any, Literal

from aegis_tui.domain.field import Name, Reason, Text
from aegis_tui.domain.model import CommandData
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.run.events import RunFacts, RunOptions, Stage


class RunStart(CommandData):
    """Start a goal. The hub fills `run` and `facts` from its own preflight; a client cannot."""

    type: Literal["run:start"] = "run:start"
    goal: Text
    design: dict[str, Any] | None = None
    options: RunOptions = RunOptions.model_construct()
    run: Name | None = None
    facts: RunFacts | None = None


class RunHalt(CommandData):
    """Start nothing new."""

    type: Literal["run:halt"] = "run:halt"
    run: Name | None = None
    reason: Reason = "asked"


class RunResume(CommandData):
    """Go on."""

    type: Literal["run:resume"] = "run:resume"
    run: Name | None = None


class RunCancel(CommandData):
    """End a run; what was written stays in rescue refs."""

    type: Literal["run:cancel"] = "run:cancel"
    run: Name | None = None
    reason: Reason = "cancelled"


class DesignPropose(CommandData):
    """Put a design forward."""

    type: Literal["design:propose"] = "design:propose"
    design: dict[str, Any]


class DesignAgree(CommandData):
    """A person agrees."""

    type: Literal["design:agree"] = "design:agree"
    design_id: Name


class RunMarkPrepared(CommandData):
    """The working ref exists."""

    type: Literal["run:mark-prepared"] = "run:mark-prepared"
    run: str


class CompositionMarkChecked(CommandData):
    """Whether the composed tree holds every piece and nothing else."""

    type: Literal["composition:mark-checked"] = "composition:mark-checked"
    run: str
    oid: str
    files: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


class RunMarkCommitted(CommandData):
    """The squash commit exists."""

    type: Literal["run:mark-committed"] = "run:mark-committed"
    run: str
    oid: str
    branch: str
    subject: str
    tree: str
    files: int
    trailers: dict[str, list[str]]


class RunFail(CommandData):
    """An effect failed in a way that no retry mends."""

    type: Literal["run:fail"] = "run:fail"
    run: str
    code: str
    message: str
    hint: str = ""
    cause: str = ""
    """The first error, in its own words."""


class RunMarkFinished(CommandData):
    """Everything is put away."""

    type: Literal["run:mark-finished"] = "run:mark-finished"
    run: str
    report: dict[str, Any]


class GateNote(CommandData):
    """A gate was tried from outside the core and did not open."""

    type: Literal["gate:note"] = "gate:note"
    run: str
    stage: Stage
    gate: str
    reason: str
    command: str = ""


RunClientCommand = RunStart | RunHalt | RunResume | RunCancel | DesignPropose | DesignAgree
RunHubCommand = RunMarkPrepared | CompositionMarkChecked | RunMarkCommitted | RunFail | RunMarkFinished | GateNote
