"""The events of runs, and the values in them (contract 4, 6)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from aegis_tui.domain.boundary import parse_address
from aegis_tui.domain.composition.events import CompositionEvent
from aegis_tui.domain.environment.events import EnvironmentPrepared
from aegis_tui.domain.environment.model import EnvironmentPlan
from aegis_tui.domain.ids import NATIVE
from aegis_tui.domain.model import EventData, FrozenModel
from aegis_tui.domain.piece.events import MergeEvent, PieceEvent
from aegis_tui.domain.qa.events import QaEvent
from aegis_tui.domain.review.events import ReviewEvent
from aegis_tui.domain.review.lens import GENERAL, ReviewLens
from aegis_tui.domain.run.design import Design

FOUNDATION = "foundation"
"""The name of the foundation's piece; a feature must not have it."""

COMPOSITION = "composition"
"""The name under which the whole merged tree is reviewed."""


class Stage(StrEnum):
    """The seven stages of FLOW-1, in order."""

    DESIGN = "DESIGN"
    FOUNDATION = "FOUNDATION"
    DISPATCH = "DISPATCH"
    MONITORING = "MONITORING"
    INTEGRATE = "INTEGRATE"
    FINAL_QA = "FINAL-QA"
    DONE = "DONE"


STAGES = tuple(Stage)


def _checked(address: str) -> str:
    parse_address(address)
    return address


class Budget(FrozenModel):
    """What a run and each of its instances may use of the models; the gateway refuses every further call (LLM-5)."""

    instance_tokens: int | None = Field(None, ge=1)
    """Tokens of one instance, of its prompts and replies together; no limit when unset."""
    instance_minutes: float | None = Field(None, gt=0)
    """Minutes from the first call of one instance on; no limit when unset."""
    run_tokens: int | None = Field(None, ge=1)
    """Tokens of all instances of a run together; no limit when unset."""
    run_minutes: float | None = Field(None, gt=0)
    """Minutes from the first call of a run on; no limit when unset."""

    def limits(self) -> dict[str, float]:
        """Return the limits that are set, by the name of the field; empty if none is."""
        limits = {
            "instance_tokens": self.instance_tokens,
            "instance_minutes": self.instance_minutes,
            "run_tokens": self.run_tokens,
            "run_minutes": self.run_minutes,
        }
        return {name: float(value) for name, value in limits.items() if value is not None}


RunMode = Literal["SINGLE", "PAR-MULTI", "GCC", "GCC-RT"]
"""How the agents of a run work together: one alone; several at once; several that plan, build and are reviewed in
turn; or the same with reviews of what is being written (contract 9)."""


class RunOptions(FrozenModel):
    """The options that a person chose for one run (contract 4)."""

    workers: int = Field(8, ge=1, le=64)
    kind: str = "native"
    agent_mode: Literal["headless", "terminal", "acp"] = "headless"
    """Whether programs of other vendors run once for each prompt, with their own interface in the pane, or over ACP."""
    base_url: str | None = None
    model: str | None = None
    sandbox: Literal["auto", "strict", "off"] = "auto"
    boundary: dict[str, tuple[Annotated[str, Field(max_length=300), AfterValidator(_checked)], ...]] = Field(
        default_factory=dict, max_length=50
    )
    """Kind of agent -> the addresses, as `host:port`, that its instances may reach besides the model (SEC-4)."""
    yes: bool = False
    scouts: bool = False
    """Whether a scout explores for each worker and gives it a short brief (ROLE-3)."""
    max_rounds: int = Field(3, ge=0, le=20)
    """How often one worker gets a rejected piece back; also how many rounds of corrections the merged tree gets."""
    handovers: int = Field(1, ge=0, le=5)
    """How many other instances get a piece, one after the other, once a worker's rounds are used up (FLOW-10).

    None does if `max_rounds` is 0.
    """
    piece_checks: bool = True
    """Whether a submission's own checks run on its tree merged with the working ref before it is merged (FLOW-7)."""
    max_attempts: int = Field(3, ge=1, le=10)
    role_notes: dict[str, str] = Field(default_factory=dict)
    checks: tuple[str, ...] = ()
    """Commands that check the result, instead of those that would be detected; commands in the design override both."""
    unchecked: bool = False
    """The person explicitly allows a result that no command checks; the report says so (FLOW-7)."""
    accept_base_failures: bool = False
    """The person accepts failures of the base that cannot be compared; the report says so (FLOW-7)."""
    partial: bool = False
    """The person accepts a result without the pieces that fail; the report names them (FLOW-7)."""
    attended: bool = False
    """A person watches the run: a gate that a person could open waits for them instead of ending the run."""
    lenses: tuple[Annotated[str, Field(max_length=100)], ...] = Field((), max_length=10)
    """Names of the review lenses besides the general one (ROLE-9)."""
    budget: Budget = Budget.model_construct()
    """What the run and each of its instances may use of the models (LLM-5)."""
    mode: RunMode = "GCC"


class RunFacts(FrozenModel):
    """What the preflight found out about repository and machine, once, before any worktree exists."""

    workspace: str
    base_oid: str
    base_branch: str | None
    ignore_case: bool = False
    scripted: bool = False
    model: str | None = None
    other_models: tuple[str, ...] = ()
    """The other models that the server lists; if none was named, they were tried one after the other."""
    warnings: tuple[str, ...] = ()
    """Warnings for the person before work starts, each with what to do about it."""
    uncommitted: int = 0
    qa_commands: tuple[str, ...] = ()
    qa_extra: tuple[str, ...] = ()
    """Type checkers and linters that the project configures; they count only if they can run on the base."""
    qa_suggested: tuple[str, ...] = ()
    """Commands that may check the result, for the person to choose from, if none is known."""
    started_unix: int = 0
    boundary_level: str = "none"
    boundary_layers: dict[str, str] = Field(default_factory=dict)
    submodules: tuple[str, ...] = ()
    """Paths of the submodules of the base, which no piece can change."""
    logs: str = ""
    """The folder of the logs: `hub.log`, and `<instance>.log` with the last content of an instance's pane."""
    kinds: tuple[str, ...] = (NATIVE,)
    """The agent kinds that there are."""
    kind_faults: dict[str, str] = Field(default_factory=dict)
    """Of the kinds that cannot be started here: why, and what to do about it."""
    kind_refusals: dict[str, str] = Field(default_factory=dict)
    """Of the kinds that the person's options do not allow: why."""
    limited_kinds: tuple[str, ...] = ()
    """Kinds whose instances can give no verdict and propose no design; the built-in agent does so in their place."""
    lenses: tuple[ReviewLens, ...] = (GENERAL,)
    """The lenses through which each piece is reviewed (ROLE-9)."""
    environment: EnvironmentPlan = EnvironmentPlan.model_construct()
    """What the worktrees get besides the tracked files (GIT-1)."""
    layout: str = ""
    """How the repository could be divided, for the Commander (PART-4); empty if the run has a design."""


class RunStarted(EventData):
    """A person started a run for a goal."""

    type: Literal["run:started"] = "run:started"
    run: str
    goal: str
    options: RunOptions
    facts: RunFacts


class RunPrepared(EventData):
    """The working ref of the run exists."""

    type: Literal["run:prepared"] = "run:prepared"
    run: str


class RunHalted(EventData):
    """No new work starts until `run:resumed`."""

    type: Literal["run:halted"] = "run:halted"
    run: str
    reason: str


class RunResumed(EventData):
    """A halted run was resumed."""

    type: Literal["run:resumed"] = "run:resumed"
    run: str


class RunAcknowledged(EventData):
    """The person knows that the run ended without its whole result."""

    type: Literal["run:acknowledged"] = "run:acknowledged"
    run: str


class RunEnding(EventData):
    """The outcome is decided; instances are stopped and worktrees reclaimed before `run:finished`."""

    type: Literal["run:ending"] = "run:ending"
    run: str
    ok: bool
    error: dict[str, Any] | None = None


class RunFinished(EventData):
    """The run has ended, its worktrees and branches are cleaned up, and the report is final."""

    type: Literal["run:finished"] = "run:finished"
    run: str
    ok: bool
    report: dict[str, Any]


class StageChanged(EventData):
    """The run has entered this stage; `round` counts how often MONITORING was reopened."""

    type: Literal["stage:changed"] = "stage:changed"
    run: str
    stage: Stage
    round: int
    reason: str = ""


class GatePassed(EventData):
    """A condition of a stage is met."""

    type: Literal["gate:passed"] = "gate:passed"
    run: str
    stage: Stage
    gate: str
    reason: str


class GateBlocked(EventData):
    """A condition of a stage was checked and is not met; `command` would meet it."""

    type: Literal["gate:blocked"] = "gate:blocked"
    run: str
    stage: Stage
    gate: str
    reason: str
    command: str = ""


class DesignProposed(EventData):
    """A design was proposed and waits to be accepted."""

    type: Literal["design:proposed"] = "design:proposed"
    run: str
    design_id: str
    design: Design


class DesignAgreed(EventData):
    """A design was accepted; the run follows it."""

    type: Literal["design:agreed"] = "design:agreed"
    run: str
    design_id: str
    design: Design


class RunCommitted(EventData):
    """The run's one squash commit was made on the result branch."""

    type: Literal["run:committed"] = "run:committed"
    run: str
    oid: str
    branch: str
    subject: str
    tree: str
    files: int
    trailers: dict[str, list[str]]


CourseEvent = RunPrepared | EnvironmentPrepared | RunHalted | RunResumed | RunEnding | RunFinished | RunAcknowledged
StageEvent = StageChanged | GatePassed | GateBlocked
DesignEvent = DesignProposed | DesignAgreed
RunEvent = (
    RunStarted
    | CourseEvent
    | StageEvent
    | DesignEvent
    | PieceEvent
    | MergeEvent
    | CompositionEvent
    | ReviewEvent
    | QaEvent
    | RunCommitted
)
"""Every event of a run, for the discriminated union of the log; `table.py` applies each part with one function."""
