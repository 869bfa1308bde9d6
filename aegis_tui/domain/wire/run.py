"""Runs as JSON, with the design that they follow."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from aegis_tui.domain.run.report_model import BoundaryReport, ErrorReport
from aegis_tui.domain.wire.environment import EnvironmentPlanFields, PreparedFields
from aegis_tui.domain.wire.form import SchemaNote
from aegis_tui.domain.wire.piece import ConflictFields, PieceFields, ReviewFields
from aegis_tui.domain.wire.qa import BaseQaFields, QaFields


class FoundationFields(TypedDict):
    """The piece that is built first and alone."""

    brief: str
    partition: list[str]


class FeatureFields(TypedDict):
    """One piece of work for one worker."""

    id: str
    title: str
    brief: str
    partition: list[str]
    depends_on: list[str]
    kind: str


class QaPlanFields(TypedDict):
    """How the result is checked."""

    commands: list[str]
    removes: list[str]
    timeout_s: float | None
    timeouts_s: dict[str, float]


class DesignFields(TypedDict):
    """A whole design."""

    goal: str
    foundation: FoundationFields | None
    features: list[FeatureFields]
    shared: list[str]
    joint: list[str]
    qa: QaPlanFields | None


class GivenFeature(TypedDict, total=False):
    """One piece of work, with what its author wrote."""

    id: str
    title: str
    brief: str
    partition: list[str]
    depends_on: list[str]
    kind: str


class GivenQaPlan(TypedDict, total=False):
    """How the result is checked, with what its author wrote."""

    commands: list[str]
    removes: list[str]
    timeout_s: float | None
    timeouts_s: dict[str, float]


class GivenDesign(TypedDict, total=False):
    """A design as it is sent to the hub, which sets what its author did not write."""

    goal: str
    foundation: FoundationFields | None
    features: list[GivenFeature]
    shared: list[str]
    joint: list[str]
    qa: GivenQaPlan | None


class GivenOptions(TypedDict, total=False):
    """The options of a run as they are sent to the hub, which sets the others."""

    workers: int
    kind: str
    agent_mode: str
    base_url: str | None
    model: str | None
    sandbox: str
    yes: bool
    scouts: bool
    max_rounds: int
    handovers: int
    piece_checks: bool
    max_attempts: int
    role_notes: dict[str, str]
    checks: list[str]
    unchecked: bool
    accept_base_failures: bool
    partial: bool
    attended: bool
    lenses: list[str]
    boundary: dict[str, list[str]]
    budget: dict[str, float]
    mode: str


class StartFields(TypedDict):
    """The fields of `run:start`."""

    goal: str
    design: GivenDesign | None
    options: GivenOptions


class BudgetFields(TypedDict):
    """What a run and each of its instances may use of the models; null for no limit."""

    instance_tokens: int | None
    instance_minutes: float | None
    run_tokens: int | None
    run_minutes: float | None


class OptionsFields(TypedDict):
    """The options that a person chose for one run."""

    workers: int
    kind: str
    agent_mode: str
    base_url: str | None
    model: str | None
    sandbox: str
    yes: bool
    scouts: bool
    max_rounds: int
    handovers: int
    piece_checks: bool
    max_attempts: int
    role_notes: dict[str, str]
    checks: list[str]
    unchecked: bool
    accept_base_failures: bool
    partial: bool
    attended: bool
    lenses: list[str]
    boundary: dict[str, list[str]]
    budget: BudgetFields
    mode: str


class LensFields(TypedDict):
    """A lens: what a reviewer pays attention to."""

    name: str
    blocking: bool
    brief: str


class FactsFields(TypedDict):
    """What the checks before a run found out about the repository and the machine."""

    workspace: str
    base_oid: str
    base_branch: str | None
    ignore_case: bool
    scripted: bool
    model: str | None
    other_models: list[str]
    warnings: list[str]
    uncommitted: int
    qa_commands: list[str]
    qa_extra: list[str]
    qa_suggested: list[str]
    started_unix: int
    boundary_level: str
    boundary_layers: dict[str, str]
    submodules: list[str]
    logs: str
    kinds: list[str]
    kind_faults: dict[str, str]
    kind_refusals: dict[str, str]
    limited_kinds: list[str]
    lenses: list[LensFields]
    environment: EnvironmentPlanFields
    layout: str


class CommitFields(TypedDict):
    """The run's one commit."""

    run: str
    oid: str
    branch: str
    subject: str
    tree: str
    files: int
    trailers: dict[str, list[str]]


class Task(TypedDict):
    """A summary of the newest run."""

    id: str | None
    status: Literal["ACTIVE", "HALTED", "COMPLETED"]
    mode: str
    agents: list[str]


class MergeProgress(TypedDict):
    """How many pieces are merged onto the integration branch."""

    total: int
    completed: int
    percentage: int


class GateView(TypedDict):
    """One condition of a stage."""

    name: str
    passed: bool
    reason: str
    command: str


class RunView(TypedDict):
    """One run."""

    run: str
    goal: str
    status: Annotated[str, SchemaNote(named="RunStatus")]
    stage: Annotated[str, SchemaNote(named="Stage")]
    round: int
    ok: bool | None
    error: ErrorReport | None
    design_id: str | None
    agreed: bool
    design: DesignFields | None
    gates: list[GateView]
    pieces: list[PieceFields]
    reviews: list[ReviewFields]
    conflicts: list[ConflictFields]
    qa: QaFields | None
    base_qa: BaseQaFields | None
    commit: CommitFields | None
    partial: bool
    """Whether it may end without pieces that fail."""
    boundary: BoundaryReport
    options: OptionsFields
    facts: FactsFields
    environment: PreparedFields | None
    """What the set-up command created; null without one, or before it has ended."""
