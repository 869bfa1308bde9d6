"""Rules of the commands about messages, broadcasts, fenced writes and changed files (HUB-2, HUB-10, LOCK-3)."""

from __future__ import annotations

import unicodedata
from types import MappingProxyType
from typing import Any, Final

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.instance.rules import living_instance, own_instance
from aegis_tui.domain.lock import end as lock_end
from aegis_tui.domain.lock import moves as lock_moves
from aegis_tui.domain.lock.model import LockMode
from aegis_tui.domain.lock.rules import _spelling
from aegis_tui.domain.message.commands import Ack, BroadcastSend, FileObserved, MessageRead, MessageSend
from aegis_tui.domain.message.events import Broadcast, CodeWritten, FileChanged, MessageAcked, MessageSent
from aegis_tui.domain.message.exchange import BEGIN
from aegis_tui.domain.page import messages_page
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.review.pinned import changed_under_review
from aegis_tui.domain.wire.reply import SentReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import StaleToken, UsageError


def broadcast(workspace: Workspace, command: BroadcastSend, actor: Actor, request_id: str) -> Decision:
    """Broadcast an event to all. `code:writing` and `code:written` need `file` and a current EXCLUSIVE token (LOCK-3).

    A written file is recorded instead of broadcast, with the new places of the locked regions. Within an exchange (the
    ordered plan, code, review and fix events of a feature) an event must come in order (ROLE-12); a person may start
    the exchange again at any time.

    Raises:
        StaleToken: The token is not that of a current EXCLUSIVE lock, or the write goes beyond the locked region.
        Refused: Code `exchange.order`: the event may not come now. Code `instance.unknown`: the instance has ended.
        UsageError: A field is missing, or it is not clear which exchange is meant.
    """
    if actor.kind == "instance":
        own_instance(workspace, actor)
    if command.event in ("code:writing", "code:written"):
        return _fenced(workspace, command, actor)
    if actor.kind == "instance" or command.event != BEGIN:
        workspace.exchanges.check(command.event, command.data)
    return Decision([(actor.agent_id, Broadcast(event=command.event, data=command.data))])


def _fenced(workspace: Workspace, command: BroadcastSend, actor: Actor) -> Decision:
    path, token = command.data.get("file"), command.data.get("token")
    if not isinstance(path, str) or not isinstance(token, int):
        raise UsageError(
            f"{command.event} needs file and token", "send the path as file and the token of its lock as token"
        )
    path = _spelling(workspace, path)
    lock = lock_end.check_token(workspace.locks, actor.agent_id, path=path, token=token)
    if lock.mode is not LockMode.EXCLUSIVE:
        raise StaleToken(f"{path} is held {lock.mode}, not EXCLUSIVE", lock_end.REACQUIRE_HINT, path=path)
    named = command.data.get("feature")
    feature = named if isinstance(named, str) else None
    fields: dict[str, Any] = {"file": path, "token": token, **({"feature": feature} if feature else {})}
    workspace.exchanges.check(command.event, fields)
    if command.event == "code:writing":
        return Decision([(actor.agent_id, Broadcast(event=command.event, data=fields))])
    base, new = command.data.get("base_oid"), command.data.get("new_oid")
    if not isinstance(new, str):
        raise UsageError("code:written needs new_oid", "the blob id of what was written")
    base_oid = base if isinstance(base, str) else None
    written = CodeWritten(file=path, token=token, base_oid=base_oid, new_oid=new, feature=feature)
    moves = lock_moves.after_write(workspace, lock, path, command.rewrite)
    return Decision([(actor.agent_id, written), *moves, *changed_under_review(workspace, actor.agent_id, path, new)])


def message_send(workspace: Workspace, command: MessageSend, actor: Actor, request_id: str) -> Decision:
    """Send a note to another instance, which reads it later; the reply has the number of its event, `seq`.

    Raises:
        UsageError: There is no such instance.
        Refused: It has ended, or is being stopped.
    """
    to = living_instance(workspace, command.to)
    message = MessageSent(to=to.agent_id, text=command.text)
    return Decision([(actor.agent_id, message)], lambda events: SentReply(seq=events[0].seq, delivery="queued"))


def message_read(workspace: Workspace, command: MessageRead, actor: Actor, request_id: str) -> Decision:
    """Return the unacknowledged messages to the sender after event `after`, oldest first, as many as fit in one reply.

    The reply has `more` (whether some are left) and `next_after`. Reading acknowledges nothing.
    """
    waiting = workspace.messages.for_agent(actor.agent_id, command.after)
    return Decision([], messages_page(waiting, command.after))


def ack(workspace: Workspace, command: Ack, actor: Actor, request_id: str) -> Decision:
    """Record what became of a message to the sender, which is then no longer unacknowledged.

    An acknowledgement of any other message, or of one that was acknowledged before, changes nothing.
    """
    message = workspace.messages.waiting.get(command.of)
    if message is None or message.to != actor.agent_id:
        return Decision()
    said = MessageAcked(of=command.of, delivery=command.delivery, reason=command.reason)
    return Decision([(actor.agent_id, said)])


def needs_lock(workspace: Workspace, agent_id: str, path: str) -> bool:
    """Return whether a change of the path in this agent's checkout must be made under an EXCLUSIVE lock.

    It must if the path is joint (any worker may write it), or belongs to another instance.
    """
    verdict = workspace.partitions.verdict(agent_id, path)
    return verdict.needs_lock or (not verdict.allowed and verdict.owner is not None)


def file_observed(workspace: Workspace, command: FileObserved, actor: Actor, request_id: str) -> Decision:
    """Record that a file changed on disk; `unlocked` if the path needs a lock and its writer held none (HUB-10).

    What git itself wrote is never `unlocked`. If the file is being reviewed, `review:stale` follows.
    """
    is_unlocked = (
        not command.by_git
        and needs_lock(workspace, command.agent_id, command.path)
        and not _was_covered(workspace, command)
    )
    changed = FileChanged(
        path=command.path, change_type=command.change_type, worktree=command.worktree, unlocked=is_unlocked
    )
    stale = changed_under_review(workspace, command.agent_id, command.path, command.oid)
    return Decision([(command.agent_id, changed), *stale])


def _was_covered(workspace: Workspace, command: FileObserved) -> bool:
    """Return whether the change of a file on disk was made under an EXCLUSIVE lock, as far as that can be known.

    It was if such a lock on the path, or a path above or below, is held now or ended since the file changed, or the
    content is that of the newest fenced write. Locks of the agent itself count and, if it writes in the person's
    checkout, those of all that write there.
    """
    path = unicodedata.normalize("NFC", command.path)
    here = _folder(workspace, command.agent_id)

    def may_write(agent_id: str) -> bool:
        return agent_id == command.agent_id or (here is None and _folder(workspace, agent_id) is None)

    if any(lock.mode is LockMode.EXCLUSIVE and may_write(lock.agent_id) for lock in workspace.locks.locks_on(path)):
        return True
    if command.since_seq is not None and workspace.ended_locks.has_ended(path, command.since_seq, may_write):
        return True
    return command.oid is not None and workspace.messages.has_written(path, command.oid, may_write)


def _folder(workspace: Workspace, agent_id: str) -> str | None:
    """Return the worktree that an agent writes in; None means the person's own checkout, also for an unknown agent."""
    instance = workspace.get_instance(agent_id)
    return instance.worktree if instance is not None else None


RULES: Final[Rules] = MappingProxyType(
    {
        MessageSend: message_send,
        MessageRead: message_read,
        BroadcastSend: broadcast,
        Ack: ack,
        FileObserved: file_observed,
    }
)
