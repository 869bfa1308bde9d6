"""The core: decide on a command, apply the events it leads to, and add the events that follow from the new state.

The same code runs in the hub, in the mirror of an interface and in a simulator. There is no clock, no randomness and
no IO here: times come in as arguments. One call of `execute` is atomic for its caller: either it raises and the state
is as before (apart from the audit events that the error carries), or all of its events are applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aegis_tui.domain import command as commands
from aegis_tui.domain.code_map import rules as code_map_rules
from aegis_tui.domain.command import AnyCommand, parse_command
from aegis_tui.domain.composition import rules as composition_rules
from aegis_tui.domain.context import snapshot_view
from aegis_tui.domain.decision import THE_HUB, THE_PERSON, Actor, Decision
from aegis_tui.domain.event import Event
from aegis_tui.domain.instance import asking as instance_asking
from aegis_tui.domain.instance import join as instance_join
from aegis_tui.domain.instance import marks as instance_marks
from aegis_tui.domain.instance import rules as instance_rules
from aegis_tui.domain.instance.commands import Heartbeat, SessionExpire
from aegis_tui.domain.instance.events import AgentJoined, AgentLeft, InstanceExited, InstanceLost, InstanceStopping
from aegis_tui.domain.instance.model import Phase
from aegis_tui.domain.limit_rules import check_limits
from aegis_tui.domain.lock import end as lock_end
from aegis_tui.domain.lock import grant as lock_grant
from aegis_tui.domain.lock import rules as lock_rules
from aegis_tui.domain.lock.commands import LockExpire, WaitExpire
from aegis_tui.domain.lock.events import LockAcquired, LockWithdrawn
from aegis_tui.domain.lock.model import Draft, LockRefused
from aegis_tui.domain.lock.wait import Wait
from aegis_tui.domain.message import rules as message_rules
from aegis_tui.domain.model import Key
from aegis_tui.domain.piece import own_checks
from aegis_tui.domain.piece import rules as piece_rules
from aegis_tui.domain.qa import rules as qa_rules
from aegis_tui.domain.registry import Rules, collected
from aegis_tui.domain.review import comment_rules, part_rules
from aegis_tui.domain.review import rules as review_rules
from aegis_tui.domain.rights import check_right
from aegis_tui.domain.rule import rules as merge_rules
from aegis_tui.domain.run import acknowledging
from aegis_tui.domain.run import rules as run_rules
from aegis_tui.domain.run.follow import follow
from aegis_tui.domain.scope import rules as scope_rules
from aegis_tui.domain.spec import rules as spec_rules
from aegis_tui.domain.wire.reply import AnyReply, HeartbeatReply
from aegis_tui.domain.words import WITHDRAWN
from aegis_tui.domain.workspace import SESSION_TTL_S, Workspace, state_hash
from aegis_tui.errors import AegisError, LockHeld

__all__ = [
    "THE_HUB",
    "THE_PERSON",
    "Actor",
    "CommandOutcome",
    "Workspace",
    "due_commands",
    "evolve",
    "execute",
    "parse_command",
    "rearm",
    "settled",
    "snapshot_view",
    "state_hash",
    "touch",
]

_MAX_FOLLOW_UPS = 10_000

_SESSION_ENDS: Final = frozenset({AgentLeft, InstanceLost, InstanceExited, InstanceStopping})
"""Events that end a session. Looked up by type, as `isinstance` of a pydantic class is slow to say no."""


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """The result of a command that was not refused.

    `events` are applied already and must be logged before `reply` is sent. `pending` means that the final reply comes
    with a later event (`settled`). `keys` names what changed.
    """

    events: tuple[Event, ...]
    reply: AnyReply
    pending: bool
    keys: frozenset[Key]


def execute(
    workspace: Workspace, command: AnyCommand, *, actor: Actor, request_id: str, now: float, timestamp: str
) -> CommandOutcome:
    """Decide one command, apply its events to the workspace and return them with the reply.

    If rights and limits allow the command, the session of the sender is extended, whatever the decision is. A granted
    lock that the reply shows has the seconds that it has left in `expires_in_s`.

    Args:
        workspace: State after the last logged event; changed in place.
        command: The command to decide.
        actor: Who sends it, known from the token.
        request_id: Chosen by the client; unique for one actor.
        now: The hub's clock in seconds; only compared with deadlines of this process.
        timestamp: The wall clock, RFC 3339 UTC; only recorded in the events.

    Returns:
        The events of the command and those that follow from them, in order, and the reply. The caller must log them
        first.

    Raises:
        AegisError: The command is refused; no state has changed, except for the events in the error's attribute `audit`
            (if it has one), which are applied and must be logged.
        RuntimeError: Following events lead to more without end; a fault of the core.
    """
    stamp = _Stamp(workspace, now, timestamp)
    check_right(workspace, command, actor)
    check_limits(workspace, command, actor)
    touch(workspace, actor.agent_id, now)
    decision = _decided(workspace, command, actor, request_id)
    if isinstance(decision, LockRefused):
        raise _refused(stamp, decision)
    stamp.apply(decision.drafts)
    stamp.follow_up()
    events = tuple(stamp.events)
    reply = decision.reply(events) if callable(decision.reply) else decision.reply
    for shown in reply.get("locks", ()):
        shown["expires_in_s"] = round(workspace.deadlines.remaining_s("lock", shown["lock_id"], now), 3)
    return CommandOutcome(events, reply, decision.pending, frozenset(stamp.keys))


class _Stamp:
    """Turns drafts into numbered events with a timestamp and applies them to the workspace."""

    def __init__(self, workspace: Workspace, now: float, timestamp: str) -> None:
        self.workspace, self.now, self.timestamp = workspace, now, timestamp
        self.events: list[Event] = []
        self.keys: set[Key] = set()

    def apply(self, drafts: list[Draft]) -> None:
        for agent_id, data in drafts:
            event = Event(self.workspace.seq + 1, agent_id, self.timestamp, data)  # type: ignore[arg-type]  # drafts hold union members
            self.keys |= evolve(self.workspace, event)
            _arm(self.workspace, event, self.now)
            self.events.append(event)

    def follow_up(self) -> None:
        for _ in range(_MAX_FOLLOW_UPS):
            drafts = self._promoted() or follow(self.workspace)
            if not drafts:
                return
            self.apply(drafts)
        raise RuntimeError(f"the core still had events to apply after {_MAX_FOLLOW_UPS} rounds")

    def _promoted(self) -> list[Draft]:
        deadlines, locks = self.workspace.deadlines, self.workspace.locks

        def lapsed(agent_id: str, request_id: str) -> bool:
            return deadlines.remaining_s("wait", request_id, self.now, agent_id=agent_id) <= 0

        return lock_grant.promote(locks, seq=self.workspace.seq, alive=self._lives, lapsed=lapsed, may=self._may_hold)

    def _may_hold(self, wait: Wait) -> bool:
        may_hold = lock_rules.may_hold
        return all(may_hold(self.workspace, wait.agent_id, item.path, wait.mode) for item in wait.resources)

    def _lives(self, agent_id: str) -> bool:
        instance = self.workspace.get_instance(agent_id)
        return instance is None or instance.phase is Phase.JOINED


def _decided(workspace: Workspace, command: AnyCommand, actor: Actor, request_id: str) -> Decision | LockRefused:
    """Return what the rule of this command's type decides. A refused lock is returned, not raised.

    Its traceback is dropped, so that it keeps no frames alive.

    Raises:
        AegisError: The rule refuses the command for any other reason.
    """
    try:
        return RULES[type(command)](workspace, command, actor, request_id)
    except LockRefused as refusal:
        return refusal.with_traceback(None)


def _refused(stamp: _Stamp, refusal: LockRefused) -> LockHeld:
    """Apply the audit events of a refused lock and return, not raise, the error that carries them as `audit`.

    The error tells also in how many seconds the lock of the holder expires, where one is known. Made here and raised by
    the caller, whose frame has no name for it: an error that is a local variable of the frame in its own traceback is a
    reference cycle, and the next collection then falls into one of the next commands.
    """
    stamp.apply(list(refusal.audit))
    error = LockHeld(refusal.message, refusal.hint, code=refusal.code, **refusal.data)
    _add_expiry(stamp.workspace, error, stamp.now)
    error.audit = tuple(stamp.events)  # type: ignore[attr-defined]  # documented: audit rides on the refusal
    return error


def evolve(workspace: Workspace, event: Event) -> frozenset[Key]:
    """Apply one logged event to the workspace in place, as replay and mirrors do, and return the keys of what changed.

    Never raises, reads no clock and sets no deadlines.
    """
    return workspace.evolve(event)


def _arm(workspace: Workspace, event: Event, now: float) -> None:
    workspace.deadlines.arm(event.agent_id, event.data, now)
    kind = type(event.data)
    if kind is AgentJoined:
        workspace.deadlines.touch_session(event.agent_id, now, SESSION_TTL_S)
    elif kind in _SESSION_ENDS:
        workspace.deadlines.end_session(event.agent_id)


def touch(workspace: Workspace, agent_id: str, now: float) -> None:
    """Extend the session of a joined instance to `SESSION_TTL_S` from now, because it has sent something.

    Not logged (HUB-8).

    No effect for an unknown instance, and for one that has not joined or has ended.
    """
    instance = workspace.get_instance(agent_id)
    if instance is not None and instance.phase is Phase.JOINED:
        workspace.deadlines.touch_session(agent_id, now, SESSION_TTL_S)


def rearm(workspace: Workspace, now: float) -> None:
    """Set the deadlines after a replay: every lock, wait and session of a joined instance gets its full time from now.

    They may so live longer than they should, which is the safe side.
    """
    workspace.deadlines.rearm_all(workspace.locks, now)
    for instance in workspace.instances.alive():
        touch(workspace, instance.agent_id, now)


def due_commands(workspace: Workspace, now: float) -> list[AnyCommand]:
    """Return commands for the hub that end the locks, waits and sessions whose deadline has come by `now`, in seconds.

    Their deadlines are removed, so that each command is returned only once. Empty if nothing is due.
    """
    expiries: list[AnyCommand] = []
    for due in workspace.deadlines.due(now):
        if due.kind == "lock":
            expiries.append(LockExpire(lock_id=due.id, token=due.token or 0))
        elif due.kind == "wait":
            expiries.append(WaitExpire(agent_id=due.agent_id, waiting=due.id))
        elif (instance := workspace.get_instance(due.agent_id)) is not None and instance.session:
            expiries.append(SessionExpire(agent_id=due.agent_id, session=instance.session))
    return expiries


def settled(workspace: Workspace, event: Event, now: float) -> tuple[str, str, AnyReply | AegisError] | None:
    """Return the pending request that an event answers: agent id, request id, and the reply or the refusal; else None.

    Only the grant of a lock that was waited for and the end of a wait without a grant answer one. The locks of one
    request are granted together, so only the first of their events answers it.

    Args:
        workspace: State after the event; not changed.
        event: The event.
        now: The hub's clock in seconds, for the `expires_in_s` of locks in the answer.

    Returns:
        The error is a `LockHeld` that is returned, not raised.
    """
    data = event.data
    if type(data) is LockAcquired and data.waited:
        granted = workspace.locks.granted(event.agent_id, data.request_id)
        if granted and min(lock.token for lock in granted) == data.token:
            return (
                event.agent_id,
                data.request_id,
                lock_rules.granted_reply(workspace, event.agent_id, data.request_id),
            )
        return None
    if type(data) is LockWithdrawn:
        known = data.model_dump(mode="json", exclude={"type", "request_id", "code"}, exclude_none=True)
        error = LockHeld(WITHDRAWN[data.code], lock_end.LIST_HINT, code=data.code, **known)
        _add_expiry(workspace, error, now)
        return event.agent_id, data.request_id, error
    return None


def _add_expiry(workspace: Workspace, error: LockHeld, now: float) -> None:
    if isinstance(lock_id := error.data.get("lock_id"), str):
        error.data["expires_in_s"] = round(workspace.deadlines.remaining_s("lock", lock_id, now), 3)


def _context(workspace: Workspace, command: commands.ContextGet, actor: Actor, request_id: str) -> Decision:
    return Decision([], {"seq": workspace.seq})


def _heartbeat(workspace: Workspace, command: Heartbeat, actor: Actor, request_id: str) -> Decision:
    held = {lock.lock_id for lock in workspace.locks.locks_of(actor.agent_id)}
    return Decision([], HeartbeatReply(lost=[name for name in command.held if name not in held]))


RULES: Final[Rules] = collected(
    instance_join.RULES,
    instance_rules.RULES,
    instance_marks.RULES,
    instance_asking.RULES,
    lock_rules.RULES,
    message_rules.RULES,
    scope_rules.RULES,
    spec_rules.RULES,
    run_rules.RULES,
    acknowledging.RULES,
    piece_rules.RULES,
    own_checks.RULES,
    composition_rules.RULES,
    comment_rules.RULES,
    part_rules.RULES,
    review_rules.RULES,
    qa_rules.RULES,
    merge_rules.RULES,
    code_map_rules.RULES,
    {Heartbeat: _heartbeat, commands.ContextGet: _context},
)
"""The function that decides each type of command."""
