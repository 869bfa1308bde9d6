"""What each command prints with `--json`, beside `schema_version` and `ok` (contract 9)."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from aegis_tui.domain.run.report_model import BoundaryReport, PastRun, QaReport, Report, ReviewReport
from aegis_tui.domain.wire.context import SharedContext
from aegis_tui.domain.wire.instance import InstanceView
from aegis_tui.domain.wire.lock import HeldLock, LockFields
from aegis_tui.domain.wire.qa import BaseQaFields
from aegis_tui.domain.wire.reply import SpecProblemFields
from aegis_tui.domain.wire.run import GateView, MergeProgress


class Printed(TypedDict):
    """The fields that every command adds when it succeeds."""

    schema_version: int
    ok: bool


class ErrorOutput(TypedDict):
    """Why a command failed; further fields give details."""

    code: str
    message: str
    hint: str
    """What to do about it; may be empty."""


class FailureOutput(Printed):
    """What a command prints instead if it fails."""

    error: ErrorOutput
    overlaps: NotRequired[list[GlobOverlap]]
    held_by: NotRequired[str]
    expires_in_s: NotRequired[float]


class GlobOverlap(TypedDict):
    """Two globs that match the same path."""

    a: str
    b: str
    owners: list[str]
    witness: str


class Partition(TypedDict):
    """What an instance may write."""

    agent_id: str
    globs: list[str]


class ProcessUsageFields(TypedDict):
    """What the processes in the pane of an instance use."""

    agent_id: str
    processes: int
    memory_bytes: int
    """Their resident memory, on Linux without what processes may have in common."""
    cpu_s: float
    """Processor time so far, in seconds."""


class StatusOutput(TypedDict):
    """`status`: the current run, or the last one."""

    run: str | None
    state: str | None
    """`open`, `halted`, `ending`, `done` or `failed`; null if there was no run."""
    stage: str | None
    boundary: BoundaryReport
    reason: str | None
    """Why it failed."""
    gates: list[GateView]
    base_qa: BaseQaFields | None
    instances: list[InstanceView]
    locks: list[HeldLock]
    partitions: list[Partition]
    progress: MergeProgress
    hub: bool
    """Whether a hub is running; else this is the last state in the log."""
    waiting_specs: list[SpecProblemFields]
    """The approved specs that cannot be started, each with the reason."""
    usage: list[ProcessUsageFields]
    """What the processes of the instances use now; those that have ended, or run elsewhere, are missing."""


class GatewayFields(TypedDict):
    """The model gateway."""

    state: Literal["running", "failed", "starting"]
    url: str | None
    socket: str | None
    problem: str | None


class HubOutput(TypedDict):
    """`hub start`, `hub stop`, `hub restart` and `hub status`."""

    running: bool
    pid: int | None
    url: str | None
    socket: str | None
    token_file: str
    seq: int | None
    instances: int | None
    """How many run."""
    gateway: GatewayFields | None


class RepairOutput(TypedDict):
    """`hub repair`; only `repaired` if nothing is damaged."""

    repaired: bool
    kept: NotRequired[int]
    """Events that are kept."""
    lost: NotRequired[tuple[int, int] | None]
    """First and last event that are lost."""
    put_aside: NotRequired[str | None]
    answers_lost: NotRequired[bool]


class LocksOutput(TypedDict):
    """`lock acquire`."""

    locks: list[LockFields]
    whole: list[str]
    """Paths that were locked as a whole, because no symbol or line of them can be locked alone."""


class NamedLock(HeldLock):
    """A lock as `lock list` shows it."""

    name: str


class LockListOutput(TypedDict):
    """`lock list`."""

    locks: list[NamedLock]


class ReleasedOutput(TypedDict):
    """`lock release`."""

    released: list[str]


class BrokenOutput(TypedDict):
    """`lock break`."""

    broken: str
    """The id of the lock."""


class SkippedLock(TypedDict):
    """An entry of an old file that was not imported."""

    path: str
    reason: str


class ImportedOutput(TypedDict):
    """`lock import`."""

    imported: list[LockFields]
    skipped: list[SkippedLock]


class ConflictPath(TypedDict):
    """A path that two pieces change."""

    path: str
    kind: str
    hunks: int
    resolution: str | None
    text: str
    label: str | None
    """What is known about its merge: `proven`, `verified`, `unproven` or `refused`; null if nothing is."""
    strategy: str | None
    """What would merge it or, once it is resolved, what did."""
    reason: str


class ConflictPair(TypedDict):
    """Two pieces that change the same paths."""

    a: str
    b: str
    paths: list[ConflictPath]


class ConflictsOutput(TypedDict):
    """`conflicts`."""

    pairs: list[ConflictPair]


class ReviewsOutput(TypedDict):
    """`review`."""

    reviews: list[ReviewReport]


class QaOutput(TypedDict):
    """`qa`."""

    qa: list[QaReport]


class CheckOutput(TypedDict):
    """`qa --output`: what a check printed."""

    run: str
    round: int
    check: str
    command: str
    tree: str
    status: str
    output: str


class SavedWork(TypedDict):
    """A rescue ref."""

    ref: str
    oid: str
    run: str
    instance: str
    saved_at: str
    size_bytes: int
    """Disk space of the objects that only it needs."""
    merged: bool
    """Whether the person's branch or a result has every file of it with the same content."""


class RescuesOutput(TypedDict):
    """`rescue list`."""

    rescues: list[SavedWork]


class SavedFile(TypedDict):
    """A file of saved work."""

    status: str
    path: str


class RescueOutput(SavedWork):
    """`rescue show`."""

    files: list[SavedFile]
    """Those that differ from the commit that the work began with."""
    staged: list[str]
    ignored: list[str]
    not_saved: list[str]
    """Those that were too large."""
    diff: NotRequired[str]
    """Only with `--diff`."""


class RestoredOutput(SavedWork):
    """`rescue restore`."""

    branch: NotRequired[str]
    folder: NotRequired[str]
    """Only with `--to`."""


class PrunedOutput(RescuesOutput):
    """`rescue prune`."""

    deleted: bool
    """Whether it was deleted; else it is only listed."""


class ReportOutput(Report, Printed):
    """`run`, `wait` and `report`."""


class RunOutput(TypedDict):
    """`run --detach`, `halt`, `resume`, `cancel`, `merge apply` and `qa --accept-base-failures`."""

    run: str


class WorkspaceItem(TypedDict):
    """One workspace of `workspaces`."""

    key: str
    root: str | None
    """The repository from which its hub was last started; None if not recorded."""
    exists: bool
    """Whether that folder is still there."""
    hub_pid: int | None
    run: str | None
    """The run that is open, else the newest."""
    run_state: str | None
    goal: str | None
    instances: int
    """How many are alive; 0 without a hub."""
    waiting: int
    """How many things wait for the person; 0 without a hub."""
    damaged: bool
    """Whether the log is damaged; nothing is known of the run then."""
    last_used: str | None
    """When the log was last written, RFC 3339 UTC."""


class WorkspacesOutput(TypedDict):
    """`workspaces`, the one that was used last first."""

    workspaces: list[WorkspaceItem]


class RunsOutput(TypedDict):
    """`runs`."""

    runs: list[PastRun]


class TranscriptOutput(TypedDict):
    """`transcript`."""

    id: str
    ended: bool
    lines: list[str]


class ReplayOutput(TypedDict):
    """`replay`."""

    seq: int
    state_hash: str
    hub_agrees: bool | None
    """Null if no hub is running, or it is at another event."""
    context: SharedContext


class SentOutput(TypedDict):
    """`send`."""

    delivery: Literal["delivered", "queued", "refused", "unknown"]
    seq: int


class StopOutput(TypedDict):
    """`stop`."""

    agent_id: str


class WaitingItem(TypedDict):
    """Something that waits for the person."""

    kind: str
    key: str
    since: str | None
    """Null if the log no longer has it."""
    words: str
    answers: dict[str, str]
    """Answer -> what it does."""
    commands: dict[str, str]
    """Answer -> the command line that gives it."""


class InboxOutput(TypedDict):
    """`inbox`."""

    items: list[WaitingItem]


class AnswerOutput(TypedDict):
    """`inbox answer`."""

    kind: str
    key: str
    answer: str
