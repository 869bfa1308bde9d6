"""The commands of runs: from the goal to the commit."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from aegis_tui.domain.environment.model import MadeFacts
from aegis_tui.domain.field import Name, Reason, Text
from aegis_tui.domain.model import CommandData
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.run.events import RunFacts, RunOptions, Stage


class RunStart(CommandData):
    """Start a run for a goal. The hub fills in `run` and `facts` from its own preflight; a client cannot."""

    type: Literal["run:start"] = "run:start"
    goal: Text
    design: dict[str, Any] | None = None
    options: RunOptions = RunOptions.model_construct()
    run: Name | None = None
    facts: RunFacts | None = None
    spec: Name | None = None
    """The spec that the hub starts the run for, which is claimed by that; a client cannot set it."""
    specs: dict[Name, tuple[Name, ...]] = Field(default_factory=dict)
    """The same for several specs: the id of each, and the features of the design that are its work."""


class RunHalt(CommandData):
    """Halt a run: no new work starts until it is resumed."""

    type: Literal["run:halt"] = "run:halt"
    run: Name | None = None
    reason: Reason = "asked"


class RunResume(CommandData):
    """Resume a halted run."""

    type: Literal["run:resume"] = "run:resume"
    run: Name | None = None


class RunCancel(CommandData):
    """End a run without a result; the work so far stays in rescue refs."""

    type: Literal["run:cancel"] = "run:cancel"
    run: Name | None = None
    reason: Reason = "cancelled"


class RunAcknowledge(CommandData):
    """Say that the person knows that a run ended without its whole result, so that it no longer waits for them."""

    type: Literal["run:acknowledge"] = "run:acknowledge"
    run: Name


class DesignPropose(CommandData):
    """Propose a design for the current run."""

    type: Literal["design:propose"] = "design:propose"
    design: dict[str, Any]


class DesignAgree(CommandData):
    """Accept the proposed design, as a person."""

    type: Literal["design:agree"] = "design:agree"
    design_id: Name


class RunMarkPrepared(CommandData):
    """Report that the working ref exists, and the environment that the set-up command made, if there is one."""

    type: Literal["run:mark-prepared"] = "run:mark-prepared"
    run: str
    environment: MadeFacts | None = None


class CompositionMarkChecked(CommandData):
    """Report whether the merged tree holds every piece and nothing else; if not, `findings` says what is wrong."""

    type: Literal["composition:mark-checked"] = "composition:mark-checked"
    run: str
    oid: str
    files: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


class RunMarkCommitted(CommandData):
    """Report that the squash commit exists."""

    type: Literal["run:mark-committed"] = "run:mark-committed"
    run: str
    oid: str
    branch: str
    subject: str
    tree: str
    files: int
    trailers: dict[str, list[str]]


class RunFail(CommandData):
    """End a run because an effect failed and no retry would help."""

    type: Literal["run:fail"] = "run:fail"
    run: str
    code: str
    message: str
    hint: str = ""
    cause: str = ""
    """The message of the first error."""


class RunMarkFinished(CommandData):
    """Report that the run's worktrees and branches are cleaned up, with the final report."""

    type: Literal["run:mark-finished"] = "run:mark-finished"
    run: str
    report: dict[str, Any]


class GateNote(CommandData):
    """Record that a gate, checked outside the core, did not open."""

    type: Literal["gate:note"] = "gate:note"
    run: str
    stage: Stage
    gate: str
    reason: str
    command: str = ""


RunClientCommand = RunStart | RunHalt | RunResume | RunCancel | RunAcknowledge | DesignPropose | DesignAgree
RunHubCommand = RunMarkPrepared | CompositionMarkChecked | RunMarkCommitted | RunFail | RunMarkFinished | GateNote
