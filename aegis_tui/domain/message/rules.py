"""Rules about locks as clients ask for them, fenced writes, messages and broadcasts."""

from __future__ import annotations

import unicodedata
from types import MappingProxyType
from typing import Any, Final

from aegis_tui.domain import command as commands
from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.instance.rules import named_instance, own_instance
from aegis_tui.domain.lock import end as lock_end
from aegis_tui.domain.lock import grant as lock_rules
from aegis_tui.domain.lock import moves as lock_moves
from aegis_tui.domain.lock.model import Lock, LockDenied, LockMode, LockRefused, LockReleased, Region, Resource
from aegis_tui.domain.message.exchange import BEGIN
from aegis_tui.domain.message.model import Broadcast, CodeWritten, FileChanged, MessageAcked, MessageSent
from aegis_tui.domain.page import messages_page
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.scope.closed import check_not_git
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, StaleToken, UsageError

DEFAULT_TTL_S = 300.0


def lock_acquire(workspace: Workspace, command: commands.LockAcquire, actor: Actor, request_id: str) -> Decision:
    """Grant all, queue, or refuse (LOCK-2); the reply of a queued request comes with its grant."""
    mode = LockMode(command.lock_type)
    resources = [_spelled(workspace, item) for item in _resources(command)]
    for resource in resources:
        check_not_git(resource.path)
    if actor.kind == "instance":
        own_instance(workspace, actor)
        for resource in resources:
            _check_partition(workspace, actor, resource, mode)
    drafts = lock_rules.acquire(
        workspace.locks,
        actor.agent_id,
        request_id=request_id,
        resources=resources,
        mode=mode,
        ttl_s=DEFAULT_TTL_S if command.ttl_s is None else command.ttl_s,
        wait_s=command.wait_s,
        seq=workspace.seq,
    )
    if not drafts and workspace.locks.waiting(actor.agent_id, request_id):
        return Decision(pending=True)
    if any(data.type == "lock:queued" for _, data in drafts):
        return Decision(drafts, pending=True)

    def reply(_: object) -> dict[str, Any]:
        granted = granted_reply(workspace, actor.agent_id, request_id, resources, mode)
        return {**granted, "whole": list(command.whole)} if command.whole else granted

    return Decision(drafts, reply)


def _spelled(workspace: Workspace, resource: Resource) -> Resource:
    """Where git ignores case, two spellings are one file: it goes by the one that is known already (PART-1)."""
    path = _spelling(workspace, resource.path)
    return resource if path == resource.path else resource.model_copy(update={"path": path})


def _spelling(workspace: Workspace, path: str) -> str:
    path = unicodedata.normalize("NFC", path)
    return workspace.locks.spelling(path) if workspace.partitions.ignore_case else path


def granted_reply(
    workspace: Workspace,
    agent_id: str,
    request_id: str,
    resources: list[Resource] | None = None,
    mode: LockMode | None = None,
) -> dict[str, Any]:
    """The locks of a granted request, in canonical order, with the seconds they have left."""
    held: dict[str, Lock] = {lock.lock_id: lock for lock in workspace.locks.granted(agent_id, request_id)}
    for resource in resources or []:
        if lock := workspace.locks.held_by(agent_id, resource, mode):
            held.setdefault(lock.lock_id, lock)
    ordered = sorted(held.values(), key=lambda lock: lock.resource.sort_key)
    return {"locks": [lock_to_wire(lock) for lock in ordered]}


def lock_to_wire(lock: Lock) -> dict[str, Any]:
    """One lock as contract 5 shows it."""
    region = lock.resource.region
    return {
        "lock_id": lock.lock_id,
        "path": lock.resource.path,
        "region": str(region) if region else None,
        "lock_type": str(lock.mode),
        "agent_id": lock.agent_id,
        "token": lock.token,
        "ttl_s": lock.ttl_s,
        "expires_in_s": lock.ttl_s,
        **_where(lock),
    }


def _where(lock: Lock) -> dict[str, Any]:
    """Where a region lies: the lines in the blob it was resolved on, or that it is stale."""
    if lock.resource.region is None:
        return {}
    first = next(iter(lock.resource.views), None)
    if first is None:
        return {"stale": lock.stale}
    return {"base_oid": first.base_oid, "spans": [list(span) for span in first.spans], "stale": lock.stale}


def _resources(command: commands.LockAcquire) -> list[Resource]:
    if command.pinned is not None:
        return list(command.pinned)
    wanted = list(command.resources)
    if command.path is not None:
        wanted.append(commands.WantedResource(path=command.path, lines=command.lines, symbol=command.symbol))
    try:
        return [
            Resource(
                path=item.path,
                region=Region(lines=item.lines, symbol=item.symbol) if item.lines or item.symbol else None,
            )
            for item in wanted
        ]
    except ValueError as error:
        raise UsageError(f"not a lockable place: {first_line(error)}", "a path, with lines A-B or a symbol") from error


def first_line(error: ValueError) -> str:
    """What is wrong with a value, in one line of what its model says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[2] if len(lines) > 2 else lines[0]
    return line.removeprefix("Value error, ").partition(" [type=")[0]


def may_hold(workspace: Workspace, agent_id: str, path: str, mode: LockMode) -> bool:
    """Whether the partitions let an agent have a lock of that mode there; reading is free to all (PART-3)."""
    instance = workspace.get_instance(agent_id)
    if mode is not LockMode.EXCLUSIVE or instance is None:
        return True
    verdict = workspace.partitions.verdict(agent_id, path)
    return verdict.allowed or (instance.run is None and verdict.owner is None and verdict.rule != "shared")


def _check_partition(workspace: Workspace, actor: Actor, resource: Resource, mode: LockMode) -> None:
    if may_hold(workspace, actor.agent_id, resource.path, mode):
        return
    verdict = workspace.partitions.verdict(actor.agent_id, resource.path)
    denied = LockDenied(path=resource.path, lock_type=mode, code="PARTITION", held_by=verdict.owner or "")
    raise LockRefused(
        verdict.message,
        "ask for it: scope:request",
        audit=((actor.agent_id, denied),),
        code="PARTITION",
        held_by=verdict.owner,
        rule=verdict.rule,
    )


def lock_renew(workspace: Workspace, command: commands.LockRenew, actor: Actor, request_id: str) -> Decision:
    """Start the TTL again; the token must be the current one."""
    drafts = lock_end.renew(
        workspace.locks,
        actor.agent_id,
        lock_id=command.lock_id,
        path=None if command.path is None else _spelling(workspace, command.path),
        token=command.token,
        ttl_s=command.ttl_s,
    )
    renewed = [str(getattr(data, "lock_id", "")) for _, data in drafts]

    def reply(_: object) -> dict[str, Any]:
        return {"locks": [lock_to_wire(lock) for name in renewed if (lock := workspace.locks.find(name))]}

    return Decision(drafts, reply)


def lock_release(workspace: Workspace, command: commands.LockRelease, actor: Actor, request_id: str) -> Decision:
    """Give locks back; releasing somebody's newer lock is refused, giving up a request never is."""
    if command.request is not None:
        if (command.lock_id, command.path, command.token) != (None, None, None):
            raise UsageError("a request is given up by its id alone", "leave out lock_id, path and token")
        drafts = lock_end.give_up(workspace.locks, actor.agent_id, command.request)
    else:
        path = None if command.path is None else _spelling(workspace, command.path)
        drafts = lock_end.release(
            workspace.locks, actor.agent_id, lock_id=command.lock_id, path=path, token=command.token
        )
    return Decision(drafts, {"released": [data.lock_id for _, data in drafts if isinstance(data, LockReleased)]})


def lock_break(workspace: Workspace, command: commands.LockBreak, actor: Actor, request_id: str) -> Decision:
    """Take a lock away; said to all, with the reason."""
    return Decision(lock_end.break_lock(workspace.locks, actor.agent_id, command.lock_id, command.reason))


def lock_expire(workspace: Workspace, command: commands.LockExpire, actor: Actor, request_id: str) -> Decision:
    """A TTL has passed."""
    return Decision(lock_end.expire(workspace.locks, command.lock_id, command.token))


def wait_expire(workspace: Workspace, command: commands.WaitExpire, actor: Actor, request_id: str) -> Decision:
    """A wait has timed out."""
    return Decision(lock_end.withdraw(workspace.locks, command.agent_id, command.waiting, "TIMEOUT"))


def broadcast(workspace: Workspace, command: commands.BroadcastSend, actor: Actor, request_id: str) -> Decision:
    """Pass an event on; `code:written` is a fenced write and needs a current EXCLUSIVE token (LOCK-3).

    Within an exchange it must come in order (ROLE-12); a person may begin one anew at any time.
    """
    if actor.kind == "instance":
        own_instance(workspace, actor)
    if command.event in ("code:writing", "code:written"):
        return _fenced(workspace, command, actor)
    if actor.kind == "instance" or command.event != BEGIN:
        workspace.exchanges.check(command.event, command.data)
    return Decision([(actor.agent_id, Broadcast(event=command.event, data=command.data))])


def _fenced(workspace: Workspace, command: commands.BroadcastSend, actor: Actor) -> Decision:
    path, token = command.data.get("file"), command.data.get("token")
    if not isinstance(path, str) or not isinstance(token, int):
        raise UsageError(f"{command.event} needs file and token", "see contract section 6")
    path = _spelling(workspace, path)
    lock = lock_end.check_token(workspace.locks, actor.agent_id, path=path, token=token)
    if lock.mode is not LockMode.EXCLUSIVE:
        raise StaleToken(f"{path} is held {lock.mode}, not EXCLUSIVE", lock_end.REACQUIRE_HINT, path=path)
    named = command.data.get("feature")
    feature = named if isinstance(named, str) else None
    told: dict[str, Any] = {"file": path, "token": token, **({"feature": feature} if feature else {})}
    workspace.exchanges.check(command.event, told)
    if command.event == "code:writing":
        return Decision([(actor.agent_id, Broadcast(event=command.event, data=told))])
    base, new = command.data.get("base_oid"), command.data.get("new_oid")
    if not isinstance(new, str):
        raise UsageError("code:written needs new_oid", "the blob id of what was written")
    base_oid = base if isinstance(base, str) else None
    written = CodeWritten(file=path, token=token, base_oid=base_oid, new_oid=new, feature=feature)
    return Decision([(actor.agent_id, written), *lock_moves.after_write(workspace, lock, path, command.rewrite)])


def message_send(workspace: Workspace, command: commands.MessageSend, actor: Actor, request_id: str) -> Decision:
    """A note to another instance."""
    to = named_instance(workspace, command.to)
    if not to.is_alive:
        raise Refused(f"{to.agent_id} is {to.phase}", "see aegis-tui status", code="instance.gone")
    message = MessageSent(to=to.agent_id, text=command.text)
    return Decision([(actor.agent_id, message)], lambda events: {"seq": events[0].seq, "delivery": "queued"})


def message_read(workspace: Workspace, command: commands.MessageRead, actor: Actor, request_id: str) -> Decision:
    """What waits for the asker, as much as fits into one answer."""
    waiting = workspace.messages.for_agent(actor.agent_id, command.after)
    return Decision([], messages_page(waiting, command.after))


def ack(workspace: Workspace, command: commands.Ack, actor: Actor, request_id: str) -> Decision:
    """The addressee has a message; an acknowledgement of anything else is only heard."""
    message = workspace.messages.waiting.get(command.of)
    if message is None or message.to != actor.agent_id:
        return Decision()
    return Decision([(actor.agent_id, MessageAcked(of=command.of))])


def needs_lock(workspace: Workspace, agent_id: str, path: str) -> bool:
    """Whether a change of the path in this agent's checkout is to be made under an EXCLUSIVE lock."""
    verdict = workspace.partitions.verdict(agent_id, path)
    return verdict.needs_lock or (not verdict.allowed and verdict.owner is not None)


def file_observed(workspace: Workspace, command: commands.FileObserved, actor: Actor, request_id: str) -> Decision:
    """A file changed on disk; `unlocked` when the path needs a lock and its writer held none then (HUB-10)."""
    is_unlocked = (
        not command.by_git
        and needs_lock(workspace, command.agent_id, command.path)
        and not _was_covered(workspace, command)
    )
    changed = FileChanged(
        path=command.path, change_type=command.change_type, worktree=command.worktree, unlocked=is_unlocked
    )
    return Decision([(command.agent_id, changed)])


def _was_covered(workspace: Workspace, command: commands.FileObserved) -> bool:
    """Whether an EXCLUSIVE lock was held between the write and now, or the content was written under one."""
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
    """Which checkout an agent writes in; None is the person's own."""
    instance = workspace.get_instance(agent_id)
    return instance.worktree if instance is not None else None


RULES: Final[Rules] = MappingProxyType(
    {
        commands.LockAcquire: lock_acquire,
        commands.LockRenew: lock_renew,
        commands.LockRelease: lock_release,
        commands.LockBreak: lock_break,
        commands.MessageSend: message_send,
        commands.MessageRead: message_read,
        commands.BroadcastSend: broadcast,
        commands.Ack: ack,
        commands.LockExpire: lock_expire,
        commands.WaitExpire: wait_expire,
        commands.FileObserved: file_observed,
    }
)
