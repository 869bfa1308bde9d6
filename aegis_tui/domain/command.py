"""Commands: what a client may ask of the hub (contract 5), and what only the hub itself may say.

A command is a wish; the core refuses it or turns it into events. `rights` says who
may wish what.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from aegis_tui.domain.cause import Cause
from aegis_tui.domain.decision import THE_HUB, Actor
from aegis_tui.domain.instance.model import AgentStateName, TaskKind, Tokens
from aegis_tui.domain.lock.model import Resource
from aegis_tui.domain.lock.region import Rewrite
from aegis_tui.domain.message.model import ChangeType
from aegis_tui.domain.model import CommandData, Count, FrozenModel, Progress, Seconds, by_type, is_encodable
from aegis_tui.domain.path.file_name import canonical_name, encodable
from aegis_tui.domain.qa.commands import QaAccept as QaAccept
from aegis_tui.domain.qa.commands import QaMarkBaseChecked as QaMarkBaseChecked
from aegis_tui.domain.qa.commands import QaMarkFinished as QaMarkFinished
from aegis_tui.domain.run.events import Criterion, Finding, Overlapping, RunFacts, RunOptions, Stage
from aegis_tui.errors import UsageError

MAX_TEXT = 256 * 1024
Text = Annotated[str, Field(max_length=MAX_TEXT)]
PathText = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(canonical_name)]
"""A path in its one written form (contract 3); refused where it is badly quoted."""
Name = Annotated[str, Field(max_length=200)]
"""An id or another name. The rules say which are usable, and what is allowed; this only bounds what is repeated."""
Key = Annotated[str, Field(max_length=8400)]
"""What names an entry by a path and more: a conflict, a lock in the shared context."""
Note = Annotated[str, Field(max_length=8000)]
Reason = Annotated[str, Field(max_length=2000)]
Symbol = Annotated[str, Field(max_length=500)]
Oid = Annotated[str, Field(pattern=r"^[0-9A-Za-z]{0,64}$")]
"""The id of a git object; a ref or an option of a program is none."""


class AgentRegister(CommandData):
    """Join with the token's identity; a person may name an instance of their own (contract 2)."""

    type: Literal["agent:register"] = "agent:register"
    agent_type: Name = "NATIVE"
    instance_id: Name | None = None
    role: Name | None = None
    partition: tuple[str, ...] | None = None


class AgentReport(CommandData):
    """What an agent says of its own work."""

    type: Literal["agent:report"] = "agent:report"
    state: AgentStateName
    progress: Progress = 0.0
    note: Note | None = None
    tokens: Tokens | None = None
    cause: Cause | None = None
    """With state `failed` or `blocked`: the first error, and whether a successor would meet it as well."""


class AgentLeave(CommandData):
    """The program ends."""

    type: Literal["agent:leave"] = "agent:leave"
    reason: Note = "left"
    cause: Cause | None = None
    """The first error that ended it, if any."""


class Heartbeat(CommandData):
    """Still here; not logged."""

    type: Literal["heartbeat"] = "heartbeat"
    ack_seq: Count | None = None
    held: tuple[Name, ...] = ()


class WantedResource(FrozenModel):
    """A file, or a region of it, that a lock is wanted on."""

    path: PathText
    lines: tuple[Count, Count] | None = None
    symbol: Symbol | None = None


class LockAcquire(CommandData):
    """All of the resources, or none.

    The hub fills `pinned` and `whole` by looking at the asker's files when a region is wanted; a client cannot.
    """

    type: Literal["lock:acquire"] = "lock:acquire"
    path: PathText | None = None
    resources: tuple[WantedResource, ...] = ()
    lock_type: Literal["EXCLUSIVE", "SHARED", "REVIEW"] = "EXCLUSIVE"
    ttl_s: Seconds | None = None
    wait_s: Seconds | None = Field(None, ge=0, le=3600)
    lines: tuple[Count, Count] | None = None
    symbol: Symbol | None = None
    pinned: tuple[Resource, ...] | None = None
    """All that is wanted, each region with the lines it has now."""
    whole: tuple[str, ...] = ()
    """Files that are locked as a whole, although a symbol was named, because they do not parse."""


class LockRenew(CommandData):
    """Start a lock's TTL again."""

    type: Literal["lock:renew"] = "lock:renew"
    lock_id: Name | None = None
    path: PathText | None = None
    token: Count
    ttl_s: Seconds | None = None


class LockRelease(CommandData):
    """Give a lock back, the token says which grant is meant; or give up an own `request`, waiting or granted."""

    type: Literal["lock:release"] = "lock:release"
    lock_id: Name | None = None
    path: PathText | None = None
    token: Count | None = None
    request: Name | None = None


class LockBreak(CommandData):
    """A person takes another's lock away."""

    type: Literal["lock:break"] = "lock:break"
    lock_id: Name
    reason: Reason = ""


class ScopeRequest(CommandData):
    """Ask for a path outside the own partition (PART-6)."""

    type: Literal["scope:request"] = "scope:request"
    path: PathText
    reason: Text


class ScopeGrant(CommandData):
    """The owner, the Commander or a person says yes."""

    type: Literal["scope:grant"] = "scope:grant"
    request: Name


class ScopeRefuse(CommandData):
    """... or no."""

    type: Literal["scope:refuse"] = "scope:refuse"
    request: Name
    reason: Reason = ""


class PartitionSet(CommandData):
    """Give an instance other globs."""

    type: Literal["partition:set"] = "partition:set"
    agent_id: Name
    globs: tuple[str, ...]


class SpecCreate(CommandData):
    """Make a spec known."""

    type: Literal["spec:create"] = "spec:create"
    spec: dict[str, Any]


class TaskUpdate(CommandData):
    """What an agent says of one task."""

    type: Literal["task:update"] = "task:update"
    spec_id: Name
    task_id: Name
    status: Name
    progress: Progress = 0.0
    note: Note | None = None


class TaskClaim(CommandData):
    """Take a ready spec; exactly one claim wins."""

    type: Literal["task:claim"] = "task:claim"
    spec_id: Name
    task_id: Name | None = None
    expect_rev: Count


class RunStart(CommandData):
    """Start a goal. The hub fills `run` and `facts` from its own preflight; a client cannot."""

    type: Literal["run:start"] = "run:start"
    goal: Text
    design: dict[str, Any] | None = None
    options: RunOptions = RunOptions()
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


class InstanceStart(CommandData):
    """Plan an instance; the reconciler does the rest."""

    type: Literal["instance:start"] = "instance:start"
    role: Name
    kind: Name = "native"
    feature: Name | None = None
    task: TaskKind = "free"
    review_id: Name | None = None


class InstanceStop(CommandData):
    """End an instance; its tree is saved first."""

    type: Literal["instance:stop"] = "instance:stop"
    agent_id: Name
    reason: Reason = "stopped"


class InstanceSend(CommandData):
    """Give an instance a prompt."""

    type: Literal["instance:send"] = "instance:send"
    agent_id: Name
    text: Text


class DiffSubmit(CommandData):
    """Hand a piece in."""

    type: Literal["diff:submit"] = "diff:submit"
    spec_id: Name
    base_oid: Oid
    head_oid: Oid
    tokens: tuple[Count, ...] = ()


class ReviewVerdict(CommandData):
    """Approve or reject."""

    type: Literal["review:verdict"] = "review:verdict"
    review_id: Name
    decision: Literal["approve", "reject"]
    criteria: tuple[Criterion, ...] = ()
    findings: tuple[Finding, ...] = ()


class ConflictResolve(CommandData):
    """A person, or the hub, says how a conflict ended."""

    type: Literal["conflict:resolve"] = "conflict:resolve"
    conflict_id: Key
    resolution: Literal["rebased", "merged", "person", "none"]


class MessageSend(CommandData):
    """A note to another instance."""

    type: Literal["message:send"] = "message:send"
    to: Name
    text: Text


class MessageRead(CommandData):
    """Notes and prompts to the asker that it has not acknowledged."""

    type: Literal["message:read"] = "message:read"
    after: Count = 0


class BroadcastSend(CommandData):
    """Pass an event of the plan, code, review or fix family on to all.

    The hub fills `rewrite` by looking at what was written; a client cannot.
    """

    type: Literal["broadcast"] = "broadcast"
    event: str = Field(pattern=r"^(plan|code|review|fix|note):[a-z_]{1,40}$")
    data: dict[str, Any] = Field(default_factory=dict)
    rewrite: Rewrite | None = None


class Ack(CommandData):
    """An event has reached its addressee."""

    type: Literal["ack"] = "ack"
    of: Count


class ContextGet(CommandData):
    """The shared context as it is now; with `section`, more of one that was cut, after its cursor."""

    type: Literal["context:get"] = "context:get"
    section: Name | None = None
    after: Key | None = None


class LockExpire(CommandData):
    """A lock's TTL has passed."""

    type: Literal["lock:expire"] = "lock:expire"
    lock_id: str
    token: int


class WaitExpire(CommandData):
    """A wait's time-out has passed."""

    type: Literal["wait:expire"] = "wait:expire"
    agent_id: str
    waiting: str


class SessionExpire(CommandData):
    """An instance has missed its heartbeats (HUB-8)."""

    type: Literal["session:expire"] = "session:expire"
    agent_id: str
    session: str


class RunMarkPrepared(CommandData):
    """The working ref exists."""

    type: Literal["run:mark-prepared"] = "run:mark-prepared"
    run: str


class InstanceMarkPrepared(CommandData):
    """Worktree, brief, token and launch record exist."""

    type: Literal["instance:mark-prepared"] = "instance:mark-prepared"
    agent_id: str
    worktree: str
    token_hash: str


class InstanceMarkLaunched(CommandData):
    """A pane runs it."""

    type: Literal["instance:mark-launched"] = "instance:mark-launched"
    agent_id: str
    pane: str
    pid: int


class InstanceMarkExited(CommandData):
    """Its program has ended."""

    type: Literal["instance:mark-exited"] = "instance:mark-exited"
    agent_id: str
    status: int | None = None
    signal: int | None = None
    reason: str = ""
    words: str = ""
    """The last lines that its pane showed, as plain text."""


class InstanceMarkReclaimed(CommandData):
    """Its worktree is gone, its work saved."""

    type: Literal["instance:mark-reclaimed"] = "instance:mark-reclaimed"
    agent_id: str
    rescue_ref: str | None = None
    removed: bool = True
    """False when its worktree could not be saved and was therefore left where it is."""
    reason: str = ""
    """Why it was left."""


class InstanceMarkFailed(CommandData):
    """It could not be brought up."""

    type: Literal["instance:mark-failed"] = "instance:mark-failed"
    agent_id: str
    reason: str
    cause: Cause | None = None


class PieceMarkChecked(CommandData):
    """What the comparison of a handed-in piece gave."""

    type: Literal["piece:mark-checked"] = "piece:mark-checked"
    run: str
    piece: str
    head_oid: str
    files: tuple[str, ...]
    blobs: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # by path the ids of writes its bytes answer to
    findings: tuple[Finding, ...] = ()
    overlaps: tuple[Overlapping, ...] = ()
    blocking: tuple[Overlapping, ...] = ()


class ConflictsObserved(CommandData):
    """What pairwise prediction found between pieces that are still being worked on (GIT-2)."""

    type: Literal["conflicts:observed"] = "conflicts:observed"
    run: str
    overlaps: tuple[Overlapping, ...]


class MergeMarkApplied(CommandData):
    """The working ref contains the piece."""

    type: Literal["merge:mark-applied"] = "merge:mark-applied"
    run: str
    piece: str
    head_oid: str
    oid: str
    kept: tuple[str, ...] = ()  # paths in which the merge keeps what was composed under newer tokens


class MergeMarkRejected(CommandData):
    """The piece crosses lines that are already on the working ref, or drops some of them (`stale`)."""

    type: Literal["merge:mark-rejected"] = "merge:mark-rejected"
    run: str
    piece: str
    head_oid: str
    overlaps: tuple[Overlapping, ...]
    stale: tuple[Finding, ...] = ()


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


class FileObserved(CommandData):
    """The watcher saw a change (HUB-10)."""

    type: Literal["file:observed"] = "file:observed"
    agent_id: str
    path: str
    change_type: ChangeType
    worktree: str
    oid: str | None = None
    """The blob id of the content as it is on disk; None when it is not known."""
    since_seq: int | None = None
    """The newest event when the file changed; None when it is not known."""
    by_git: bool = False
    """The content is one that git itself put there: a checkout, a merge, a rebase."""


class GateNote(CommandData):
    """A gate was tried from outside the core and did not open."""

    type: Literal["gate:note"] = "gate:note"
    run: str
    stage: Stage
    gate: str
    reason: str
    command: str = ""


ClientCommand = (
    AgentRegister
    | AgentReport
    | AgentLeave
    | Heartbeat
    | LockAcquire
    | LockRenew
    | LockRelease
    | LockBreak
    | ScopeRequest
    | ScopeGrant
    | ScopeRefuse
    | PartitionSet
    | SpecCreate
    | TaskUpdate
    | TaskClaim
    | RunStart
    | RunHalt
    | RunResume
    | RunCancel
    | QaAccept
    | DesignPropose
    | DesignAgree
    | InstanceStart
    | InstanceStop
    | InstanceSend
    | DiffSubmit
    | ReviewVerdict
    | ConflictResolve
    | MessageSend
    | MessageRead
    | BroadcastSend
    | Ack
    | ContextGet
)
HubCommand = (
    LockExpire
    | WaitExpire
    | SessionExpire
    | RunMarkPrepared
    | InstanceMarkPrepared
    | InstanceMarkLaunched
    | InstanceMarkExited
    | InstanceMarkReclaimed
    | InstanceMarkFailed
    | PieceMarkChecked
    | ConflictsObserved
    | MergeMarkApplied
    | MergeMarkRejected
    | CompositionMarkChecked
    | QaMarkBaseChecked
    | QaMarkFinished
    | RunMarkCommitted
    | RunFail
    | RunMarkFinished
    | FileObserved
    | GateNote
)
AnyCommand = ClientCommand | HubCommand

_CLIENT: dict[str, type[ClientCommand]] = by_type(ClientCommand)


def loggable(command: AnyCommand, actor: Actor) -> AnyCommand:
    """The command without text that UTF-8 cannot carry, which the hub's own may hold (a file name in a refusal).

    What clients send was checked when it came in.
    """
    if actor is not THE_HUB or is_encodable(command):
        return command
    return type(command).model_validate(encodable(command.model_dump()))


def parse_command(fields: dict[str, Any]) -> ClientCommand:
    """The command that a client's JSON object stands for; hub-only commands cannot be spelled this way.

    Args:
        fields: The object without `v` and `request_id`.

    Raises:
        UsageError: Unknown type, unknown or missing field, or a value of the wrong shape; the message names the field.
    """
    name = fields.get("type")
    model = _CLIENT.get(name) if isinstance(name, str) else None
    if model is None:
        raise UsageError(f"type: there is no command {str(name)[:60]!r}", "see /openapi.json")
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "fields"
        raise UsageError(f"{name}: {where}: {first['msg']}", "see /openapi.json") from error
