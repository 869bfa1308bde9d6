"""How an instance joins (the hub's own, or one that a person connects), and the first prompt that it gets (HUB-8)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from aegis_tui.domain import ids, naming
from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.instance.commands import AgentRegister
from aegis_tui.domain.instance.events import AgentJoined
from aegis_tui.domain.instance.model import Instance, Phase
from aegis_tui.domain.instance.rules import own_instance, piece_of, spec_path
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.memory.advise import advice_text
from aegis_tui.domain.message.events import MessageSent
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.run import brief
from aegis_tui.domain.scope.reservation import as_partitioned, check_free, globs_of
from aegis_tui.domain.spec.events import SpecInProgress
from aegis_tui.domain.wire.reply import JoinedReply
from aegis_tui.domain.workspace import SESSION_TTL_S, Workspace
from aegis_tui.errors import Refused


def register(workspace: Workspace, command: AgentRegister, actor: Actor, request_id: str) -> Decision:
    """Let an instance join; the reply has its agent id, its session and how long that lasts, in seconds.

    An instance of a run that joins for the first time gets the first prompt for its task, and the spec of its piece is
    marked as in progress. One that has joined already keeps its session, so that it can reconnect: no events. With a
    person's token, the agent that the command names joins outside a run.

    Raises:
        Refused: An instance that sends this does not live. Or a person's agent has an id that is or was another's, or
            globs that are taken (`PartitionRefused` for those that nobody may have).
        UsageError: A person's command has an id, a kind or a role that is not valid.
    """
    if actor.kind == "person":
        return _join_outside(workspace, command, request_id)
    instance = own_instance(workspace, actor)
    if instance.phase is Phase.JOINED and instance.session:
        return Decision([], _joined_reply(instance.agent_id, instance.session))
    session = f"{instance.instance_id}.{workspace.seq + 1}"
    drafts: list[Draft] = [
        (
            instance.agent_id,
            AgentJoined(
                agent_type=ids.agent_type(instance.kind),
                role=instance.role,
                partition=instance.partition,
                session=session,
            ),
        )
    ]
    if message := first_brief(workspace, instance):
        drafts.append((ids.HUB, message))
    if run_and_piece := piece_of(workspace, instance):
        piece = run_and_piece[1]
        drafts.append((instance.agent_id, SpecInProgress(specId=piece.spec_id, path=spec_path(piece.spec_id))))
    return Decision(drafts, _joined_reply(instance.agent_id, session))


def _joined_reply(agent_id: str, session: str) -> JoinedReply:
    return {"agent_id": agent_id, "session": session, "ttl_s": SESSION_TTL_S}


def _join_outside(workspace: Workspace, command: AgentRegister, request_id: str) -> Decision:
    short = naming.check_outside_id(command.instance_id or "")
    kind = naming.check_kind(command.agent_type)
    role = naming.check_role(command.role or "worker")
    agent_id = ids.agent_id(kind, short)
    known = _known_as(workspace, short)
    if known is not None and known.agent_id != agent_id:
        raise Refused(f"{short} is taken by {known.agent_id}", "choose another --instance", code="instance.taken")
    if known is not None and known.run is not None:
        raise Refused(f"{agent_id} belongs to a run", "choose another --instance", code="instance.taken")
    former = workspace.instances.former.get(short.casefold(), agent_id)
    if former != agent_id:
        raise Refused(f"{short} belonged to {former}", "choose another --instance", code="instance.taken")
    partition = command.partition or ()
    check_free(workspace, agent_id, partition)
    if known is not None and known.phase is Phase.JOINED and known.session:
        return Decision([], _joined_reply(agent_id, known.session))
    session = f"{short}.{workspace.seq + 1}"
    joined = AgentJoined(agent_type=kind, role=role, partition=partition, session=session, state="idle")
    return Decision([(agent_id, joined)], _joined_reply(agent_id, session))


def _known_as(workspace: Workspace, short: str) -> Instance | None:
    """Return the instance with that short id, such as `w01`, in any case of letters; None if there is none.

    A file system that ignores case has one folder for both.
    """
    folded = short.casefold()
    return next((item for item in workspace.instances.by_id.values() if item.instance_id.casefold() == folded), None)


def first_brief(workspace: Workspace, instance: Instance) -> MessageSent | None:
    """Return the message with the first prompt of an instance, by its task; not sent yet.

    None for a free task and for an instance outside a run. What all instances with that kind of task are told is apart,
    in `guidance` of its context, because it comes before what is the instance's own.

    Raises:
        KeyError: Its review or its piece is not in the run.
    """
    run = workspace.runs.by_id.get(instance.run or "")
    if run is None:
        return None
    context: dict[str, object] = {"task": instance.task, "base_oid": instance.base_oid}
    if instance.task == "review":
        review = run.reviews[instance.review_id or ""]
        if reviewed := run.pieces.get(review.piece):
            run = as_partitioned(run, reviewed.name, globs_of(workspace, run, reviewed))
        text = brief.review_brief(run, review)
        context |= {"review_id": review.review_id}
    elif instance.task == "design":
        text = brief.design_brief(run)
    elif instance.task == "scout":
        text = brief.scout_brief(run, run.pieces[instance.piece or ""])
    elif instance.task in ("implement", "foundation"):
        piece = run.pieces[instance.piece or ""]
        old = workspace.get_instance(instance.replaces or "")
        text = brief.work_brief(run, piece, rescue_ref=old.rescue_ref if old else None)
        text = "\n\n".join(part for part in (text, instance.around, advice_text(instance.advice)) if part)
        context |= {"spec_id": piece.spec_id}
    else:
        return None
    if guidance := brief.guidance_text(run, instance):
        context |= {"guidance": guidance}
    return MessageSent(to=instance.agent_id, text=text, kind="prompt", context=context)


RULES: Final[Rules] = MappingProxyType({AgentRegister: register})
