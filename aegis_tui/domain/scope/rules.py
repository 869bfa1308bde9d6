"""Rules of the commands about scopes: ask for paths, answer such requests, set partitions (PART-5, PART-6)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.instance.rules import living_instance, own_instance
from aegis_tui.domain.lock.model import Draft, Resource
from aegis_tui.domain.lock.rules import first_line
from aegis_tui.domain.message.events import MessageSent
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.scope.commands import PartitionSet, ScopeGrant, ScopeRefuse, ScopeRequest
from aegis_tui.domain.scope.events import PartitionChanged, ScopeGranted, ScopeRefused, ScopeRequested
from aegis_tui.domain.scope.reservation import check_free
from aegis_tui.domain.wire.reply import ScopeReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import PartitionRefused, Refused, UsageError


def request(workspace: Workspace, command: ScopeRequest, actor: Actor, request_id: str) -> Decision:
    """Ask to write a path outside the partition; its owner or else the Commander receives a message (PART-6).

    The reply names the request. If the sender may write the path already, nothing is asked: no events, and `request` is
    None.

    Raises:
        PartitionRefused: The path can never be granted: it belongs to git, or is a spec.
        UsageError: The path is not one of the repository.
        Refused: The sender is not a living instance.
    """
    own_instance(workspace, actor)
    path = _scope_path(command.path)
    verdict = workspace.partitions.verdict(actor.agent_id, path)
    if verdict.allowed:
        return Decision([], ScopeReply(request=None, granted=True))
    if workspace.partitions.is_closed(path):
        raise PartitionRefused(verdict.message, "no one can grant it", path=path)
    request = f"q{workspace.seq + 1}"
    drafts: list[Draft] = [(actor.agent_id, ScopeRequested(request=request, path=path, reason=command.reason))]
    text = f"{actor.agent_id} asks to write {path} ({request}): {command.reason}"
    drafts.extend(
        (HUB, MessageSent(to=to, text=text, context={"request": request}))
        for to in _who_answers(workspace, actor, verdict.owner)
    )
    return Decision(drafts, ScopeReply(request=request, granted=False, owner=verdict.owner))


def _scope_path(text: str) -> str:
    """Return a path in the form in which locks and grants name it.

    Raises:
        UsageError: It is not a path inside the repository.
    """
    try:
        return Resource(path=text).path
    except ValueError as error:
        hint = "name a path of the repository, such as docs/guide.md"
        raise UsageError(f"{text} is not a path of the repository: {first_line(error)}", hint) from error


def _who_answers(workspace: Workspace, actor: Actor, owner: str | None) -> list[str]:
    """Return the ids of those who may grant a path: its living owner, else every living Commander but the asker.

    Empty if there is none.
    """
    holder = workspace.get_instance(owner or "")
    if holder is not None and holder.is_alive:
        return [holder.agent_id]
    living = workspace.instances.alive()
    return [item.agent_id for item in living if item.role == "commander" and item.agent_id != actor.agent_id]


def _may_answer(workspace: Workspace, actor: Actor, path: str) -> bool:
    if actor.kind != "instance":
        return True
    instance = own_instance(workspace, actor)
    return instance.role == "commander" or workspace.partitions.owner_of(path) == actor.agent_id


def _asked(workspace: Workspace, request: str, actor: Actor) -> tuple[ScopeRequested, str]:
    if (gone := workspace.scope_ended.get(request)) is not None:
        raise Refused(f"{gone}, which asked ({request}), has ended", "nothing is left to answer", code="instance.gone")
    asked = workspace.scope_requests.get(request)
    if asked is None:
        raise UsageError(f"there is no open scope request {request}", "it may have been answered already")
    if not _may_answer(workspace, actor, asked.path):
        raise PartitionRefused(
            f"{actor.agent_id} may not answer for {asked.path}", "only its owner, the Commander or the person may"
        )
    return asked, workspace.scope_askers[request]


def grant(workspace: Workspace, command: ScopeGrant, actor: Actor, request_id: str) -> Decision:
    """Grant a request for a path: the asker may write it, under a lock, and gets a message.

    Nobody can grant its own request.

    A person, the Commander and the instance whose partition has the path may answer.

    Raises:
        UsageError: There is no such open request.
        Refused: The asker has ended, or the sender is an instance that has.
        PartitionRefused: The sender may not answer this request.
    """
    asked, asker = _asked(workspace, command.request, actor)
    if asker == actor.agent_id:
        hint = "only the owner of the path or the person may grant it"
        raise PartitionRefused(f"{asker} may not grant its own request {command.request}", hint, path=asked.path)
    text = f"granted: you may write {asked.path} while you hold a lock on it"
    return Decision(
        [
            (actor.agent_id, ScopeGranted(request=command.request, path=asked.path, to=asker)),
            (HUB, MessageSent(to=asker, text=text, context={"request": command.request})),
        ]
    )


def refuse(workspace: Workspace, command: ScopeRefuse, actor: Actor, request_id: str) -> Decision:
    """Refuse a request for a path; the asker receives the reason in a message.

    Who may grant it may refuse it, even if it is their own request.

    Raises:
        UsageError: There is no such open request.
        Refused: The asker has ended, or the sender is an instance that has.
        PartitionRefused: The sender may not answer this request.
    """
    asked, asker = _asked(workspace, command.request, actor)
    text = f"refused: {asked.path}: {command.reason}"
    refused = ScopeRefused(request=command.request, path=asked.path, to=asker, reason=command.reason)
    return Decision(
        [
            (actor.agent_id, refused),
            (HUB, MessageSent(to=asker, text=text, context={"request": command.request})),
        ]
    )


def set_partition(workspace: Workspace, command: PartitionSet, actor: Actor, request_id: str) -> Decision:
    """Replace the partition of a living instance (PART-5).

    Raises:
        UsageError: There is no such instance.
        Refused: It has ended; or globs overlap those of others (`partition.overlap`), are not valid (`glob`) or cost
            too much (`glob.effort`).
        PartitionRefused: A glob names git's own paths or specs.
    """
    instance = living_instance(workspace, command.agent_id)
    check_free(workspace, instance.agent_id, command.globs)
    return Decision([(instance.agent_id, PartitionChanged(globs=command.globs))])


RULES: Final[Rules] = MappingProxyType(
    {
        ScopeRequest: request,
        ScopeGrant: grant,
        ScopeRefuse: refuse,
        PartitionSet: set_partition,
    }
)
