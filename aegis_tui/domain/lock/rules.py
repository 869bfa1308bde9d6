"""Rules of the lock commands: each returns the events to log, or refuses the command (LOCK-1 to LOCK-4, PART-6)."""

from __future__ import annotations

import unicodedata
from functools import partial
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.instance.rules import own_instance
from aegis_tui.domain.lock import end as lock_end
from aegis_tui.domain.lock import grant as lock_grant
from aegis_tui.domain.lock.commands import (
    LockAcquire,
    LockBreak,
    LockExpire,
    LockNews,
    LockRelease,
    LockRenew,
    WaitExpire,
    WantedResource,
)
from aegis_tui.domain.lock.events import LockDenied, LockReleased, LockRenewed
from aegis_tui.domain.lock.model import GrantedLock, LockMode, LockRefused, Region, Resource
from aegis_tui.domain.lock.news import lock_news
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.review.pinned import is_being_read
from aegis_tui.domain.scope.closed import check_not_git
from aegis_tui.domain.wire.lock import LockFields
from aegis_tui.domain.wire.reply import LocksReply, ReleasedReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import UsageError

DEFAULT_TTL_S = 300.0


def lock_acquire(workspace: Workspace, command: LockAcquire, actor: Actor, request_id: str) -> Decision:
    """Grant all of the locks, queue the request as a whole, or refuse it (LOCK-2).

    The reply has the locks, also those that the sender held before and that suffice. A queued request gets its reply
    when its wait ends. A request that was granted before is answered with the locks that it still has.

    Raises:
        LockRefused: HELD: another instance blocks it and it does not wait. UPGRADE: another holder already waits to
            upgrade the same resource. DEADLOCK: waiting would close a cycle. PARTITION: the instance may not write the
            path.
        PartitionRefused: A path belongs to git.
        Refused: The instance has ended.
        UsageError: There is no resource, or a resource or a duration is not valid.
    """
    mode = LockMode(command.lock_type)
    resources = [_spelled(workspace, item) for item in _resources(command)]
    for resource in resources:
        check_not_git(resource.path)
    if actor.kind == "instance":
        own_instance(workspace, actor)
        for resource in resources:
            _check_partition(workspace, actor, resource, mode)
    drafts = lock_grant.acquire(
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

    reply = partial(_acquired, workspace, actor.agent_id, request_id, resources, mode, command.whole)
    return Decision(drafts, reply)


def _acquired(
    workspace: Workspace,
    agent_id: str,
    request_id: str,
    resources: list[Resource],
    mode: LockMode,
    whole: tuple[str, ...],
    _: object,
) -> LocksReply:
    """Return the reply to a request that was granted; the last argument, its events, is not needed."""
    granted = granted_reply(workspace, agent_id, request_id, resources, mode)
    if whole:
        granted["whole"] = list(whole)
    return granted


def _spelled(workspace: Workspace, resource: Resource) -> Resource:
    """Return the resource, with its path in NFC.

    If git ignores case, in the spelling that is locked or waited for already.
    """
    path = _spelling(workspace, resource.path)
    return resource if path == resource.path else resource.model_copy(update={"path": path})


def _spelling(workspace: Workspace, path: str) -> str:
    path = path if path.isascii() else unicodedata.normalize("NFC", path)
    return workspace.locks.spelling(path) if workspace.partitions.ignore_case else path


def granted_reply(
    workspace: Workspace,
    agent_id: str,
    request_id: str,
    resources: list[Resource] | None = None,
    mode: LockMode | None = None,
) -> LocksReply:
    """Return the reply to a granted request: its locks that are still held, sorted by path and region.

    Args:
        workspace: State after the grant.
        agent_id: The sender.
        request_id: The request.
        resources: Where given, locks that the sender held before and that cover one of these are included.
        mode: What such a lock must permit; None for any mode.
    """
    held: dict[str, GrantedLock] = {lock.lock_id: lock for lock in workspace.locks.granted(agent_id, request_id)}
    for resource in resources or []:
        if lock := workspace.locks.held_by(agent_id, resource, mode):
            held.setdefault(lock.lock_id, lock)
    ordered = sorted(held.values(), key=lambda lock: lock.resource.sort_key)
    return {"locks": [lock_to_wire(lock) for lock in ordered]}


def lock_to_wire(lock: GrantedLock) -> LockFields:
    """Return one lock in the form of contract 5; `expires_in_s` is its whole TTL in seconds, for the caller to replace.

    A lock of a region also has `stale` and, if a file was read for it, `base_oid` and `spans`: its lines in that blob.
    """
    region = lock.resource.region
    plain: LockFields = {
        "lock_id": lock.lock_id,
        "path": lock.resource.path,
        "region": str(region) if region else None,
        "lock_type": str(lock.mode),
        "agent_id": lock.agent_id,
        "token": lock.token,
        "ttl_s": lock.ttl_s,
        "expires_in_s": lock.ttl_s,
    }
    if region is not None:
        if (first := next(iter(lock.resource.views), None)) is not None:  # else no file was read for it
            plain["base_oid"], plain["spans"] = first.base_oid, list(first.spans)
        plain["stale"] = lock.stale
    return plain


def _resources(command: LockAcquire) -> list[Resource]:
    if command.pinned is not None:
        return list(command.pinned)
    wanted = list(command.resources)
    if command.path is not None:
        wanted.append(WantedResource(path=command.path, lines=command.lines, symbol=command.symbol))
    try:
        return [
            Resource(
                path=item.path,
                region=Region(lines=item.lines, symbol=item.symbol) if item.lines or item.symbol else None,
            )
            for item in wanted
        ]
    except ValueError as error:
        raise UsageError(
            f"this cannot be locked: {first_line(error)}", "name a path, with lines A-B or a symbol"
        ) from error


def first_line(error: ValueError) -> str:
    """Return what is wrong with a value, in one line: the first error of a `ValidationError`, else the error's text."""
    text = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    return text.removeprefix("Value error, ").partition("\n")[0]


def may_hold(workspace: Workspace, agent_id: str, path: str, mode: LockMode) -> bool:
    """Return whether an agent may lock a path in this mode (PART-3). Changes nothing.

    Only an EXCLUSIVE lock of an instance depends on the partitions; all else is allowed. An instance outside a run may
    also lock a path that no instance owns and that is not shared.
    """
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
        "ask for the path with scope:request",
        audit=((actor.agent_id, denied),),
        code="PARTITION",
        held_by=verdict.owner,
        rule=verdict.rule,
    )


def lock_renew(workspace: Workspace, command: LockRenew, actor: Actor, request_id: str) -> Decision:
    """Restart the TTL of the sender's locks that the command names; the reply has them.

    Raises:
        StaleToken: No such lock is held, or not with that token, or its region is stale.
        Refused: Somebody else holds it.
        UsageError: Not exactly one of id and path is named, or the duration is not valid.
    """
    drafts = lock_end.renew(
        workspace.locks,
        actor.agent_id,
        lock_id=command.lock_id,
        path=None if command.path is None else _spelling(workspace, command.path),
        token=command.token,
        ttl_s=command.ttl_s,
    )
    renewed = [str(getattr(data, "lock_id", "")) for _, data in drafts]

    def reply(_: object) -> LocksReply:
        return {"locks": [lock_to_wire(lock) for name in renewed if (lock := workspace.locks.find(name))]}

    return Decision(drafts, reply)


def lock_release(workspace: Workspace, command: LockRelease, actor: Actor, request_id: str) -> Decision:
    """Release the sender's locks that the command names, or cancel its request, waiting or granted.

    The reply lists the ids of the released locks; it is empty for an unknown request, which is no error.

    Raises:
        UsageError: A request is named together with a lock, or not exactly one of id and path.
        StaleToken: No such lock is held, or not with that token.
        Refused: Somebody else holds it.
    """
    if command.request is not None:
        if (command.lock_id, command.path, command.token) != (None, None, None):
            raise UsageError("a request is cancelled by its id alone", "leave out lock_id, path and token")
        drafts = lock_end.give_up(workspace.locks, actor.agent_id, command.request)
    else:
        path = None if command.path is None else _spelling(workspace, command.path)
        drafts = lock_end.release(
            workspace.locks, actor.agent_id, lock_id=command.lock_id, path=path, token=command.token
        )
    return Decision(
        drafts, ReleasedReply(released=[data.lock_id for _, data in drafts if isinstance(data, LockReleased)])
    )


def lock_break(workspace: Workspace, command: LockBreak, actor: Actor, request_id: str) -> Decision:
    """End a lock of any holder, for the reason given.

    Raises:
        StaleToken: It has ended already, or there never was such a lock.
    """
    return Decision(lock_end.break_lock(workspace.locks, actor.agent_id, command.lock_id, command.reason))


def lock_expire(workspace: Workspace, command: LockExpire, actor: Actor, request_id: str) -> Decision:
    """End a lock whose TTL has passed; no events when it has ended or has another token.

    That of a reviewer on a blob is renewed while it reads, so that no turn of a reviewer depends on it.
    """
    lock = workspace.locks.find(command.lock_id)
    if lock is not None and lock.token == command.token and is_being_read(workspace, lock):
        return Decision([(lock.agent_id, LockRenewed(lock_id=lock.lock_id, token=lock.token, ttl_s=lock.ttl_s))])
    return Decision(lock_end.expire(workspace.locks, command.lock_id, command.token))


def wait_expire(workspace: Workspace, command: WaitExpire, actor: Actor, request_id: str) -> Decision:
    """Withdraw a request whose timeout has passed; no events when it no longer waits."""
    return Decision(lock_end.withdraw(workspace.locks, command.agent_id, command.waiting, "TIMEOUT"))


RULES: Final[Rules] = MappingProxyType(
    {
        LockAcquire: lock_acquire,
        LockRenew: lock_renew,
        LockRelease: lock_release,
        LockBreak: lock_break,
        LockNews: lock_news,
        LockExpire: lock_expire,
        WaitExpire: wait_expire,
    }
)
