"""Who may send which command: one table of commands by role (HUB-9, ROLE-1 to ROLE-13, contract 5, 6).

Each row is one command, or one variant of it: a lock by its mode, a broadcast by its event. It lists who may send it;
nobody else may. A right is only the first of several checks: a worker may submit a piece, but only its own. The hub
itself needs no rights.

An agent that joins by `connect` has the role that the person gave it, by default `worker`, and exactly that role's
rights. A role that is in the log but not in this table may do what every role may.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.ids import PERSON
from aegis_tui.domain.inert import inert
from aegis_tui.domain.lock.commands import LockAcquire
from aegis_tui.domain.message.commands import BroadcastSend
from aegis_tui.domain.role import ROLES
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Refused, UsageError

Holders = frozenset[str]
"""Who has a right: names of roles, and `person`."""

HUB_ALONE: Final[Holders] = frozenset()
_PERSON: Final[Holders] = frozenset({PERSON})
_ROLES: Final[Holders] = frozenset(ROLES)
_EVERYBODY: Final[Holders] = _ROLES | _PERSON
_BUILDERS: Final[Holders] = frozenset(name for name, role in ROLES.items() if role.is_builder)
"""Roles that build a piece."""
_WRITERS: Final[Holders] = frozenset(name for name, role in ROLES.items() if role.is_writer)
"""Roles that change files. All other roles only read, except that of the git manager (ROLE-3 to ROLE-7, -9, -11)."""
_JUDGES: Final[Holders] = frozenset(name for name, role in ROLES.items() if role.is_judge) | _PERSON

RIGHTS: Final[Mapping[str, Holders]] = MappingProxyType(
    {
        "agent:register": _EVERYBODY,
        "agent:report": _ROLES,
        "agent:leave": _ROLES,
        "heartbeat": _EVERYBODY,
        "lock:acquire EXCLUSIVE": _WRITERS | _PERSON,
        "lock:acquire SHARED": _EVERYBODY,
        "lock:acquire REVIEW": _JUDGES,
        "lock:renew": _EVERYBODY,
        "lock:release": _EVERYBODY,
        "lock:break": _PERSON,
        "lock:news": _WRITERS | _PERSON,
        "scope:request": _WRITERS,
        "scope:grant": _WRITERS | _PERSON,
        "scope:refuse": _WRITERS | _PERSON,
        "partition:set": _PERSON,
        "spec:create": frozenset({"commander", "consultant", "spec-manager", PERSON}),
        "spec:rescan": _PERSON,
        "task:claim": _BUILDERS,
        "task:update": _WRITERS | _PERSON,
        "run:start": _PERSON,
        "run:halt": _PERSON,
        "run:resume": _PERSON,
        "run:cancel": _PERSON,
        "run:acknowledge": _PERSON,
        "qa:accept": _PERSON,
        "rule:allow": _PERSON,
        "rule:refuse": _PERSON,
        "design:propose": frozenset({"commander", PERSON}),
        "design:agree": _PERSON,
        "instance:start": frozenset({"commander", PERSON}),
        "instance:stop": _PERSON,
        "instance:send": _PERSON,
        "instance:answer": _PERSON,
        "diff:submit": _BUILDERS,
        "review:verdict": frozenset({"reviewer", PERSON}),
        "review:request": _BUILDERS | _PERSON,
        "review:comment": _PERSON,
        "review:discard": _PERSON,
        "review:send": _PERSON,
        "conflict:resolve": _PERSON,
        "merge:apply": _PERSON,
        "piece:retry": _PERSON,
        "message:send": _EVERYBODY,
        "message:read": _EVERYBODY,
        "ack": _EVERYBODY,
        "context:get": _EVERYBODY,
        "map:ask": _EVERYBODY,
        "broadcast plan:proposed": _BUILDERS | _PERSON,
        "broadcast plan:acknowledged": _WRITERS | _JUDGES,
        "broadcast plan:approved": _JUDGES,
        "broadcast plan:amendment": _WRITERS | _JUDGES | {"consultant"},
        "broadcast code:writing": _WRITERS | _PERSON,
        "broadcast code:written": _WRITERS | _PERSON,
        "broadcast review:requested": _WRITERS | _PERSON,
        "broadcast review:in_progress": _JUDGES,
        "broadcast review:completed": _JUDGES,
        "broadcast fix:suggested": _JUDGES,
        "broadcast fix:in_progress": _WRITERS | _PERSON,
        "broadcast fix:applied": _WRITERS | _PERSON,
        "broadcast note:*": _EVERYBODY,
        "lock:expire": HUB_ALONE,
        "wait:expire": HUB_ALONE,
        "session:expire": HUB_ALONE,
        "run:mark-prepared": HUB_ALONE,
        "instance:mark-prepared": HUB_ALONE,
        "instance:mark-asking": HUB_ALONE,
        "instance:mark-launched": HUB_ALONE,
        "instance:mark-exited": HUB_ALONE,
        "instance:mark-reclaimed": HUB_ALONE,
        "instance:mark-failed": HUB_ALONE,
        "piece:mark-checked": HUB_ALONE,
        "piece:mark-tested": HUB_ALONE,
        "conflicts:observed": HUB_ALONE,
        "merge:mark-applied": HUB_ALONE,
        "merge:mark-rejected": HUB_ALONE,
        "composition:mark-checked": HUB_ALONE,
        "merge:mark-culprits": HUB_ALONE,
        "merge:mark-rebuilt": HUB_ALONE,
        "qa:mark-base-checked": HUB_ALONE,
        "qa:mark-finished": HUB_ALONE,
        "run:mark-committed": HUB_ALONE,
        "run:fail": HUB_ALONE,
        "run:mark-finished": HUB_ALONE,
        "file:observed": HUB_ALONE,
        "gate:note": HUB_ALONE,
        "spec:observe": HUB_ALONE,
        "spec:fail": HUB_ALONE,
        "spec:wait": HUB_ALONE,
    }
)
"""Who may send each command, by the row that `action_of` returns for it."""

_FOR_EVERY_ROLE: Final = frozenset(action for action, holders in RIGHTS.items() if holders >= _ROLES)


def action_of(command: AnyCommand) -> str:
    """Return the name of the row of `RIGHTS` for a command: its type, with the mode of a lock or a broadcast's event.

    All broadcasts of the `note` family have one row. For a broadcast of an unknown event there is no row of that name.
    """
    if type(command) is LockAcquire:
        return f"{command.type} {command.lock_type}"
    if type(command) is BroadcastSend:
        family = command.event.partition(":")[0]
        return f"{command.type} {'note:*' if family == 'note' else command.event}"
    return command.type


def check_right(workspace: Workspace, command: AnyCommand, actor: Actor) -> None:
    """Return if the actor has the right to send this command.

    Raises:
        UsageError: The command is a broadcast of an event that does not exist.
        Refused: The actor has no right to it (code `hub.only`, `person.only`, `instance.only` or `role.denied`), or is
            not a living instance and the command is not for every role (code `instance.unknown`).
    """
    if actor.kind == "hub":
        return
    action = action_of(command)
    holders = RIGHTS.get(action)
    if holders is None:
        raise _no_such_event(action)
    if holders == HUB_ALONE:
        raise Refused(f"only the hub may send {action}", code="hub.only")
    if actor.kind == "person":
        if PERSON not in holders:
            hint = "join first: aegis-tui connect --agent KIND --instance ID"
            raise Refused(f"only an instance may send {action}", hint, code="instance.only")
    elif holders == _PERSON:
        raise Refused(f"only a person may send {action}", "ask the person at the dashboard", code="person.only")
    elif action not in _FOR_EVERY_ROLE:
        _check_role(workspace, action, holders, actor)


def _check_role(workspace: Workspace, action: str, holders: Holders, actor: Actor) -> None:
    instance = workspace.get_instance(actor.agent_id)
    if instance is None or not instance.is_alive:
        raise Refused(
            f"{actor.agent_id} is not a running instance",
            "join first: aegis-tui connect --agent KIND --instance ID",
            code="instance.unknown",
        )
    if instance.role not in holders:
        names = [name for name in (*ROLES, PERSON) if name in holders]
        raise Refused(
            f"{actor.agent_id} is a {inert(instance.role)}, and that role may not send {action}",
            f"it is allowed for: {', '.join(names)}",
            code="role.denied",
            role=instance.role,
            allowed=names,
        )


def _no_such_event(action: str) -> UsageError:
    named = [name.removeprefix("broadcast ") for name in RIGHTS if name.startswith("broadcast ")]
    return UsageError(f"there is no event {action.removeprefix('broadcast ')}", f"one of {', '.join(named)}")
