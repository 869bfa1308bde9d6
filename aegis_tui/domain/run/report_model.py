"""The report of a run as `--json`, the dashboard and the log have it (contract 4): plain JSON, each part with its type.

What is `NotRequired` is absent from reports of programs that did not know it yet; the log keeps those for ever.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class GateReport(TypedDict):
    """A gate, as it was judged last."""

    name: str
    passed: bool
    reason: str


class StageReport(TypedDict):
    """One of the seven stages (FLOW-1)."""

    name: str
    state: str
    """`pending`, `active`, `passed`, `failed` or `reopened`."""
    rounds: int
    """How often it was entered."""
    started_at: str | None
    duration_s: float
    gates: list[GateReport]


class TokenReport(TypedDict):
    """Model tokens of an instance, totals."""

    prompt: int
    completion: int
    cached: NotRequired[int]


class AdviceReport(TypedDict):
    """One line of advice that an instance got before its work (MEM-1)."""

    failure: str
    """The id of the failure, as `aegis-tui memory last` prints it."""
    line: str
    reason: str
    """Why it got this advice."""


class InstanceReport(TypedDict):
    """One instance of an agent."""

    id: str
    agent_id: str
    role: str
    kind: str
    feature: str | None
    partition: list[str]
    worktree: str | None
    branch: str | None
    pane: str | None
    state: str
    started_at: str | None
    duration_s: float
    prompts: int
    tokens: TokenReport
    blocked_names: NotRequired[list[str]]
    """Names that were looked up in its sandbox, which refused them."""
    scope_requests: int
    rescue_ref: str | None
    advice: NotRequired[list[AdviceReport]]


class LockReport(TypedDict):
    """Requests for locks, counted."""

    requested: int
    granted: int
    waited: int
    failed: int
    expired: int
    deadlocks: int


class ConflictReport(TypedDict):
    """A path that two pieces changed."""

    a: str
    b: str
    path: str
    kind: str
    resolution: str
    """`none` while it is open."""
    label: NotRequired[str | None]
    """What is known about its merge or about what resolved it: `proven`, `verified`, `unproven`, `refused`; or None."""
    strategy: NotRequired[str | None]
    """What merged it: `text`, `structure`, `lines`, `agent` or `person`; None if nothing did."""
    reason: NotRequired[str]
    predicted: NotRequired[bool]
    """Whether it was seen before its pieces were submitted."""


class MergedFileReport(TypedDict):
    """One file that a piece and what was merged before it both changed (GIT-3)."""

    piece: str
    path: str
    label: str
    """`proven` by an independent check; `verified`: QA passed on the tree that has it; `unproven` until then."""
    strategy: str | None
    reason: str


CriterionReport = TypedDict("CriterionReport", {"id": str, "pass": bool, "evidence": str})
"""One acceptance criterion, judged (REV-4)."""


class FindingReport(TypedDict):
    """One remark of a reviewer."""

    type: str
    file: str | None
    line: int | None
    msg: str
    severity: str
    end_line: NotRequired[int | None]
    rule: NotRequired[str]
    suggestion: NotRequired[str]
    confidence: NotRequired[float | None]


class ReviewReport(TypedDict):
    """One verdict."""

    reviewer: str
    piece: str
    lens: NotRequired[str]
    verdict: Literal["APPROVED", "CHANGES_REQUESTED"]
    criteria: list[CriterionReport]
    findings: list[FindingReport]


class BaseReport(TypedDict):
    """The result of a check on the base."""

    status: str
    executed: int | None
    passed: int | None
    failed: int | None
    reason: str


class QaReport(TypedDict):
    """One check of one round of QA (FLOW-7)."""

    round: int
    check: str
    command: str
    status: NotRequired[str]
    ok: bool
    executed: NotRequired[int | None]
    passed: int | None
    failed: int | None
    new_failures: list[str]
    reason: NotRequired[str | None]
    remedy: NotRequired[str]
    note: NotRequired[str]
    is_acceptable: NotRequired[bool]
    accepted_by: NotRequired[str | None]
    flaky: NotRequired[list[str]]
    base: NotRequired[BaseReport | None]
    duration_s: float


class RuleFindingReport(TypedDict):
    """One place that a merge rule found in a piece (FLOW-9)."""

    piece: str
    rule: str
    key: str
    file: str
    line: int | None
    msg: str
    severity: str
    outcome: str
    """`sent back` (also at the end of a run that failed), `repaired`, `waits`, `allowed` or `noted`."""
    allowed_by: str | None


class RuleReportPart(TypedDict):
    """What the merge rules found, and with which secret scanners."""

    scanners: list[str]
    findings: list[RuleFindingReport]


class QualityReport(TypedDict):
    """How good the submissions were before anything was repaired."""

    names_used: int
    """How many uses of names in added Python lines were looked at, in the first submission of each piece."""
    names_unknown: int
    """How many uses of names that neither the repository, its dependencies nor the standard library defines."""
    unknown_name_rate: float | None
    """`names_unknown` divided by `names_used`; None if no names were looked at."""
    first_pass_qa_rate: float | None
    """The share of pieces that the first round of QA did not send back; None before it."""


class EnvironmentReport(TypedDict):
    """What the worktrees of a run had besides the tracked files (GIT-1)."""

    state: str
    """`prepared` by the set-up command, `linked` to that of the checkout, `copied` files only, or `none`."""
    setup: str
    """The set-up command; empty if there is none."""
    network: bool
    name: str
    """The name of the prepared environment; empty if there is none."""
    reused: bool
    duration_s: float
    log: str
    places: list[str]
    """The environments of the checkout, such as `.venv`."""
    included: list[str]
    included_count: int
    """How many paths `.worktreeinclude` names; the list holds the first of them."""
    missing: list[str]
    """What the project needs and nothing provides."""


class CommitReport(TypedDict):
    """The one commit of a run that succeeded."""

    oid: str
    branch: str
    subject: str
    files: int
    trailers: dict[str, Any]


class LeftOutReport(TypedDict):
    """A piece that is not in the commit (FLOW-7)."""

    piece: str
    reason: str
    ref: str | None
    """The ref that keeps its work; null if no work of it was ever saved."""


class PieceTestReport(TypedDict):
    """The own checks of one submission, run on it with all that was merged by then (FLOW-7)."""

    head_oid: str
    onto_oid: str
    ok: bool
    """Whether the piece could go on."""
    passed: bool
    """Whether every check was passed; False also if they say nothing about the piece, as one that cannot run."""
    reason: str


class SentBackReport(TypedDict):
    """A submission that was sent back (FLOW-10)."""

    agent_id: str | None
    head_oid: str | None
    ref: str | None
    """The ref that keeps it."""
    because: str
    """What sent it back: `checks`, `rules`, `merge`, `review` or `whole`."""
    reason: str
    """The beginning of what the next worker was told: reason and output."""
    to: Literal["worker", "other", "person"]
    """Who got the piece: its worker, another one, or the person, who was asked."""


class PieceReport(TypedDict):
    """A piece on its way to the result."""

    piece: str
    status: str
    agents: list[str]
    handed_over: list[str]
    """The agents whose rounds were used up."""
    tests: list[PieceTestReport]
    sent_back: list[SentBackReport]


class CommitSeen(TypedDict):
    """What git says of the commit; it goes before what the log says."""

    subject: str
    files: int
    trailers: dict[str, Any]


class ErrorReport(TypedDict):
    """Why a run has no commit."""

    code: str
    message: str
    hint: str
    cause: NotRequired[str]
    instance: NotRequired[str | None]
    feature: NotRequired[str | None]
    last_words: NotRequired[str | None]
    log: NotRequired[str | None]


class BoundaryReport(TypedDict):
    """How the agents were isolated: the level, and each layer with what it does or why it is off."""

    level: str
    layers: dict[str, str]
    allowed: NotRequired[dict[str, list[str]]]
    """Kind of agent -> the addresses that it could reach besides hub and model, as `host:port`."""
    word: NotRequired[str]
    """All this in a few words: `closed`, `2 addresses allowed` or `no sandbox`."""


class Report(TypedDict):
    """What came of a run."""

    schema_version: int
    ok: bool
    run: str
    workspace: str
    goal: str
    duration_s: float
    scripted: bool
    boundary: BoundaryReport
    stages: list[StageReport]
    instances: list[InstanceReport]
    locks: LockReport
    conflicts: list[ConflictReport]
    merged: NotRequired[list[MergedFileReport]]
    reviews: list[ReviewReport]
    qa: list[QaReport]
    pieces: NotRequired[list[PieceReport]]
    rules: NotRequired[RuleReportPart]
    quality: NotRequired[QualityReport]
    environment: NotRequired[EnvironmentReport]
    commit: CommitReport | None
    left_out: NotRequired[list[LeftOutReport]]
    error: NotRequired[ErrorReport]
    problems: NotRequired[list[str]]
    """What could not be cleaned up at its end."""


class PastRun(TypedDict):
    """One row of `aegis-tui runs`; what is not known is None."""

    run: str
    goal: str | None
    state: Literal["open", "done", "failed"] | None
    ok: bool | None
    started_at: str | None
    duration_s: float | None
    commit: str | None
    branch: str | None
    error: str | None
