"""Rules of the commands about instances, and what happens when one is lost or replaced (HUB-8, FLOW-6, SPEC-10).

How an instance joins is in `join`; what the hub records about one is in `marks`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from aegis_tui.domain import ids, naming
from aegis_tui.domain.cause import Cause
from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.commands import (
    AgentLeave,
    AgentReport,
    InstanceSend,
    InstanceStart,
    InstanceStop,
    SessionExpire,
)
from aegis_tui.domain.instance.events import (
    AgentLeft,
    AgentState,
    InstanceLost,
    InstanceStopping,
)
from aegis_tui.domain.instance.model import ENDED, Instance, Phase
from aegis_tui.domain.instance.plan import plan
from aegis_tui.domain.lock import end as lock_end
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.message.events import MessageSent
from aegis_tui.domain.piece.events import MergeQueued, PieceReopened
from aegis_tui.domain.piece.model import Piece, PieceStatus
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.review.reading import begun_reading
from aegis_tui.domain.run.events import Stage
from aegis_tui.domain.run.kind import check_startable
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.spec.commands import TaskUpdate
from aegis_tui.domain.spec.events import SpecDiffSubmitted, TaskUpdated
from aegis_tui.domain.wire.reply import PromptReply, StartedReply, StoppedReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError

GIVES_UP = ("failed", "blocked")
"""Reported states that mean that the agent will not finish its task."""


def own_instance(workspace: Workspace, actor: Actor) -> Instance:
    """Return the instance that sent the command.

    Raises:
        Refused: The sender is not a living instance.
    """
    instance = workspace.get_instance(actor.agent_id)
    if instance is None or not instance.is_alive:
        raise Refused(
            f"{actor.agent_id} is not a running instance",
            "join first: aegis-tui connect --agent KIND --instance ID",
            code="instance.unknown",
        )
    return instance


def named_instance(workspace: Workspace, name: str) -> Instance:
    """Return the instance with this id, given in its long or its short form (`NATIVE-w01`, `w01`).

    Raises:
        UsageError: There is none.
    """
    instance = workspace.instances.find(name)
    if instance is None:
        raise UsageError(f"there is no instance {name}", "list them: aegis-tui status")
    return instance


def living_instance(workspace: Workspace, name: str) -> Instance:
    """Return the instance with this id, in long or short form, if it has not ended and is not being stopped.

    Raises:
        UsageError: There is no such instance.
        Refused: It has ended, or is being stopped (code `instance.gone`).
    """
    instance = named_instance(workspace, name)
    if not instance.is_alive:
        words = "is being stopped" if instance.phase is Phase.STOPPING else "has ended"
        raise Refused(f"{instance.agent_id} {words}", "see aegis-tui status", code="instance.gone")
    return instance


def piece_of(workspace: Workspace, instance: Instance) -> tuple[Run, Piece] | None:
    """Return the run and the piece that is assigned to an instance.

    None if it works on none: it is outside a run, a scout or a reviewer, or was replaced by another instance.
    """
    run = workspace.runs.by_id.get(instance.run or "")
    piece = run.pieces.get(instance.piece or "") if run else None
    if run is None or piece is None or piece.agent_id != instance.agent_id or instance.review_id:
        return None
    return run, piece


def spec_path(spec_id: str) -> str:
    """Return the path of a spec's file, relative to the repository."""
    return f".agents/specs/active/{spec_id}.yaml"


def report(workspace: Workspace, command: AgentReport, actor: Actor, request_id: str) -> Decision:
    """Record what an agent reports of itself; a report that changes nothing is not logged.

    A scout that reports `done` is stopped, and its note goes to the worker that it scouted for. An instance of a run
    that reports `failed` or `blocked` is stopped, its locks are released, and its piece goes to a fresh one. But if its
    piece is submitted already and the run is open, that stands: the report is recorded as `done`, and nobody is
    stopped.

    Raises:
        Refused: The sender is not a living instance.
    """
    instance = own_instance(workspace, actor)
    said = AgentState(**command.model_dump(exclude={"type", "cause"}), cause=command.cause)
    stands = _stands(workspace, instance) if command.state in GIVES_UP else None
    if stands is not None:
        note = f"the submission of {stands[0]} stands; afterwards the agent reported: {command.note or command.state}"
        said = said.model_copy(update={"state": "done", "progress": 1.0, "note": note, "cause": None})
    if said.blocked_names == instance.blocked_names:
        said = said.model_copy(update={"blocked_names": ()})
    if said.write_checks == instance.write_checks:
        said = said.model_copy(update={"write_checks": None})
    drafts: list[Draft] = [(instance.agent_id, said)] if _is_news(instance, said) else []
    drafts += begun_reading(workspace, instance, command.state, before=len(drafts))
    if instance.task == "scout" and command.state == "done":
        return Decision(drafts + _hand_over(workspace, instance, command.note or ""))
    if stands is not None:
        return Decision([*drafts, *stands[1]])
    if command.state in GIVES_UP and instance.run:
        drafts += give_up(workspace, instance, f"{instance.agent_id} reported {command.state}: {command.note or ''}")
    return Decision(drafts)


def _is_news(instance: Instance, said: AgentState) -> bool:
    before = (instance.state, instance.progress, instance.note, instance.until)
    same = before == (said.state, said.progress, said.note, said.until)
    has_news = bool(said.blocked_names) or said.write_checks is not None
    return not same or has_news or (said.tokens is not None and said.tokens != instance.tokens)


def _stands(workspace: Workspace, instance: Instance) -> tuple[str, list[Draft]] | None:
    """Return the piece of an instance that stays submitted even if the instance fails now.

    Returns:
        Its name, and the events that make it submitted again if a person's prompt had taken it back, which may be none.
        None if there is no such piece: the instance has none, has not submitted it, or the run is not open.
    """
    run_and_piece = piece_of(workspace, instance)
    if run_and_piece is None or not run_and_piece[0].is_open:
        return None
    run, piece = run_and_piece
    if piece.status is not PieceStatus.WORKING:
        return piece.name, []
    if not piece.asked or piece.head_oid is None or piece.base_oid is None:
        return None
    if piece.applied_head == piece.head_oid:
        return piece.name, [(ids.HUB, MergeQueued(run=run.run, piece=piece.name, head_oid=piece.head_oid))]
    again = SpecDiffSubmitted(
        specId=piece.spec_id,
        path=spec_path(piece.spec_id),
        base_oid=piece.base_oid,
        head_oid=piece.head_oid,
        tokens=piece.tokens,
    )
    return piece.name, [(instance.agent_id, again)]


def _hand_over(workspace: Workspace, scout: Instance, text: str) -> list[Draft]:
    """Return the events that stop a scout and send `text` to the worker that it scouted for (ROLE-3).

    Nothing is sent if the text is blank or the worker does not live.
    """
    run = workspace.runs.by_id.get(scout.run or "")
    piece = run.pieces.get(scout.piece or "") if run else None
    worker = workspace.get_instance(piece.agent_id or "") if piece else None
    drafts: list[Draft] = []
    if worker is not None and worker.is_alive and text.strip():
        note = f"{scout.agent_id} explored for you:\n{text}"
        drafts.append((scout.agent_id, MessageSent(to=worker.agent_id, text=note, context={"task": "scout"})))
    return [*drafts, (scout.agent_id, InstanceStopping(reason="report delivered"))]


def give_up(workspace: Workspace, instance: Instance, reason: str) -> list[Draft]:
    """Return the events that stop an instance that will not finish, and end its locks and waits.

    Its unfinished piece goes to a fresh instance; a piece that it had submitted before stays submitted.
    """
    drafts: list[Draft] = [(instance.agent_id, InstanceStopping(reason=reason))]
    drafts += lock_end.drop_holder(workspace.locks, instance.agent_id, "released")
    return drafts + _requeue(workspace, instance, reason)[1]


def _requeue(workspace: Workspace, instance: Instance, reason: str) -> tuple[list[str], list[Draft]]:
    run_and_piece = piece_of(workspace, instance)
    if run_and_piece is None or run_and_piece[1].status is not PieceStatus.WORKING or not run_and_piece[0].is_open:
        return [], []
    run, piece = run_and_piece
    if (stands := _stands(workspace, instance)) is not None:
        return [], stands[1]
    reopened = PieceReopened(run=run.run, piece=piece.name, reason=piece.feedback, fresh=True, counts=False)
    return [piece.spec_id], [(ids.HUB, reopened)]


def lose(workspace: Workspace, instance: Instance, reason: str, cause: Cause | None = None) -> list[Draft]:
    """Return the events that record that an instance is lost and end its locks and waits (HUB-8).

    Its unfinished piece goes to a fresh instance; a piece that it had submitted before stays submitted.
    """
    drafts = lock_end.drop_holder(workspace.locks, instance.agent_id, lock_end.SESSION_LOST)
    requeued, reopened = _requeue(workspace, instance, reason)
    lost = InstanceLost(last_seen=instance.last_seen, requeued=tuple(requeued), reason=reason, cause=cause)
    return [*drafts, (instance.agent_id, lost), *reopened]


def leave(workspace: Workspace, command: AgentLeave, actor: Actor, request_id: str) -> Decision:
    """Let the sender leave, which ends its locks; an instance of a run is lost then.

    The unfinished piece of such an instance goes to a fresh one.

    Raises:
        Refused: The sender is not a living instance.
    """
    instance = own_instance(workspace, actor)
    if instance.run is not None:
        return Decision(lose(workspace, instance, f"left: {command.reason}", command.cause))
    drafts = lock_end.drop_holder(workspace.locks, instance.agent_id, "left")
    return Decision([*drafts, (instance.agent_id, AgentLeft(reason=command.reason))])


def session_expire(workspace: Workspace, command: SessionExpire, actor: Actor, request_id: str) -> Decision:
    """End the session and the locks of an instance that missed its heartbeats.

    An instance of a run is lost then, and its unfinished piece goes to a fresh one. No events if the instance is not
    joined or has another session.
    """
    instance = workspace.get_instance(command.agent_id)
    if instance is None or instance.phase is not Phase.JOINED or instance.session != command.session:
        return Decision()
    reason = "no heartbeat"
    if instance.run is None:
        drafts = lock_end.drop_holder(workspace.locks, instance.agent_id, lock_end.SESSION_LOST)
        return Decision([*drafts, (instance.agent_id, AgentLeft(reason=reason))])
    return Decision(lose(workspace, instance, reason))


def stop(workspace: Workspace, command: InstanceStop, actor: Actor, request_id: str) -> Decision:
    """Stop an instance; its unfinished piece goes to a fresh one, and an instance outside a run leaves.

    The reply has its agent id, with its phase if nothing is done: there are no events when it is stopping or has ended.

    Raises:
        UsageError: There is no such instance.
    """
    instance = named_instance(workspace, command.agent_id)
    if instance.phase in ENDED or not (instance.is_alive or instance.run is None):
        return Decision([], StoppedReply(agent_id=instance.agent_id, phase=instance.phase))
    # The hub has no program of an instance outside a run to end: its token is refused from now on.
    left: list[Draft] = [] if instance.run else [(instance.agent_id, AgentLeft(reason=command.reason))]
    return Decision([*give_up(workspace, instance, command.reason), *left], StoppedReply(agent_id=instance.agent_id))


def send(workspace: Workspace, command: InstanceSend, actor: Actor, request_id: str) -> Decision:
    """Queue a prompt for an instance; it counts as delivered when the instance acknowledges it (PANE-4).

    A piece that the instance has submitted is taken back, so that its next work counts. The reply has the number of the
    message's event, `seq`.

    Raises:
        UsageError: There is no such instance.
        Refused: It does not live, or its piece is submitted and the pieces of its run are already judged as a whole.
    """
    instance = living_instance(workspace, command.agent_id)
    drafts = prompted(workspace, instance, command.text, actor)
    return Decision(
        drafts, lambda events: PromptReply(delivery="queued", seq=message_number(events), agent_id=instance.agent_id)
    )


def prompted(workspace: Workspace, instance: Instance, text: str, actor: Actor) -> list[Draft]:
    """Return the events that send a prompt of a person to an instance; a piece that it submitted is taken back.

    Raises:
        Refused: Its piece is submitted, and the pieces of its run are already judged as a whole.
    """
    message = MessageSent(to=instance.agent_id, text=text, kind="prompt", context={"task": "free"})
    return [*_reopened_by(workspace, instance, text), (actor.agent_id, message)]


def message_number(events: tuple[Event, ...]) -> int:
    """Return the number of the message among the events of a decision that sent one."""
    return next(event.seq for event in events if isinstance(event.data, MessageSent))


def _reopened_by(workspace: Workspace, instance: Instance, text: str) -> list[Draft]:
    """Return the event that takes back the submitted piece of a worker that gets the prompt `text`.

    Empty if it has submitted none. Its next work then counts.

    Raises:
        Refused: The run has left DISPATCH and MONITORING: its pieces are already judged as a whole.
    """
    run_and_piece = piece_of(workspace, instance)
    if run_and_piece is None or run_and_piece[1].status is PieceStatus.WORKING:
        return []
    run, piece = run_and_piece
    if run.stage not in (Stage.DISPATCH, Stage.MONITORING):
        raise Refused(
            f"{instance.agent_id} cannot take a prompt now: {piece.name} is submitted, and the run is in {run.stage}",
            "wait for the result, or cancel the run",
            code="instance.waits",
        )
    reopened = PieceReopened(run=run.run, piece=piece.name, reason=text, fresh=False, counts=False, asked=True)
    return [(ids.HUB, reopened)]


def start(workspace: Workspace, command: InstanceStart, actor: Actor, request_id: str) -> Decision:
    """Plan one more instance in the open run, with a free task or as a scout of a feature.

    A run plans its workers itself.

    The reply has its new agent id. A kind that cannot take the role is replaced by the built-in agent.

    Raises:
        Refused: No run is open, or the run's options do not allow the kind (code `agent.guard`).
        UsageError: There is no such role, agent kind or feature.
        Unavailable: The agent kind cannot be started on this machine (code `agent.program`).
    """
    naming.check_role(command.role)
    run = workspace.runs.current()
    if run is None or not run.is_open:
        raise Refused("no run is active", "start one: aegis-tui run GOAL", code="run.none")
    check_startable(command.kind, run.facts)
    piece = run.pieces.get(command.feature or "")
    if command.feature is not None and piece is None:
        raise UsageError(f"there is no feature {command.feature}", f"one of {', '.join(run.pieces)}")
    planned = plan(
        workspace,
        run,
        role=command.role,
        kind=command.kind,
        task="scout" if command.role == "scout" and piece is not None else "free",
        base_oid=(piece.base_oid if piece else None) or run.working_oid,
        piece=piece.name if piece else None,
    )
    return Decision([planned], StartedReply(agent_id=planned[0]))


def task_update(workspace: Workspace, command: TaskUpdate, actor: Actor, request_id: str) -> Decision:
    """Record the status of one task of a spec.

    Raises:
        UsageError: There is no such spec, or the task id or the status is not valid.
        Refused: An instance sends this to which the spec is not assigned.
    """
    spec = workspace.specs.by_id.get(command.spec_id)
    if spec is None:
        raise UsageError(f"there is no spec {command.spec_id}", "context:get lists them")
    if actor.kind == "instance" and spec.agent != actor.agent_id:
        raise Refused(f"{command.spec_id} belongs to {spec.agent or 'nobody'}", "claim it first", code="spec.foreign")
    task_id, status = naming.check_task_id(command.task_id), naming.check_word("status", command.status)
    data = TaskUpdated(spec_id=command.spec_id, task_id=task_id, status=status, progress=command.progress)
    return Decision([(actor.agent_id, data)])


RULES: Final[Rules] = MappingProxyType(
    {
        AgentReport: report,
        AgentLeave: leave,
        TaskUpdate: task_update,
        InstanceStart: start,
        InstanceStop: stop,
        InstanceSend: send,
        SessionExpire: session_expire,
    }
)
