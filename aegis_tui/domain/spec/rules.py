"""Rules of the commands that add a spec outside a run, and that claim one (SPEC-5, SPEC-10)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.inert import has_hidden
from aegis_tui.domain.instance.rules import own_instance, spec_path
from aegis_tui.domain.naming import check_spec_id
from aegis_tui.domain.registry import Rules
from aegis_tui.domain.spec.commands import SpecCreate, SpecFail, SpecObserve, SpecRescan, SpecWait, TaskClaim
from aegis_tui.domain.spec.events import SpecCreated, SpecTaskAssigned
from aegis_tui.domain.spec.observe import check_dependencies, fail, observe, rescan, wait
from aegis_tui.domain.wire.reply import SpecReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Conflict, Refused, UsageError


def create(workspace: Workspace, command: SpecCreate, actor: Actor, request_id: str) -> Decision:
    """Add a spec to the workspace, outside any run; the reply has its id.

    Raises:
        UsageError: The id, the title or the dependencies are not valid.
        Refused: The id exists already, or the dependencies form a cycle, which the message names.
    """
    spec_id, title = check_spec_id(command.spec.get("id")), command.spec.get("title")
    if not isinstance(title, str) or not title.strip():
        raise UsageError(f"{spec_id}: title is missing", "give one line that says what is to be done")
    if has_hidden(title):
        raise UsageError(f"{spec_id}: title contains an invisible character or a line break", "give one plain line")
    if workspace.specs.is_known(spec_id):
        raise Refused(f"{spec_id} already exists", "choose another id", code="spec.exists")
    named = command.spec.get("dependencies", [])
    if not isinstance(named, list | tuple):
        raise UsageError(f"{spec_id}: dependencies must be a list of spec ids", 'for example ["spec-2026-11-20-001"]')
    needs = tuple(check_spec_id(name) for name in named)
    check_dependencies(workspace, spec_id, needs)
    data = SpecCreated(specId=spec_id, path=spec_path(spec_id), title=title, dependencies=needs)
    return Decision([(actor.agent_id, data)], SpecReply(spec_id=spec_id))


def claim(workspace: Workspace, command: TaskClaim, actor: Actor, request_id: str) -> Decision:
    """Assign a ready spec to the sender. Of several claims of one revision exactly one succeeds.

    The reply has its id and its next revision.

    Raises:
        UsageError: There is no such spec.
        Conflict: The spec has another revision, is not approved, or belongs to a run.
        Refused: Its dependencies are not completed, or the sender is not a living instance.
    """
    instance = own_instance(workspace, actor)
    spec = workspace.specs.by_id.get(command.spec_id)
    if spec is None:
        raise UsageError(f"there is no spec {command.spec_id}", "context:get lists them")
    if spec.rev != command.expect_rev or spec.status != "approved" or spec.run is not None:
        raise Conflict(
            f"{spec.spec_id} is at revision {spec.rev}, {spec.status}",
            "read the spec again",
            code="spec.rev",
            rev=spec.rev,
        )
    if not workspace.specs.is_ready(spec):
        raise Refused(f"{spec.spec_id} waits for {', '.join(spec.dependencies)}", code="spec.waits")
    data = SpecTaskAssigned(
        specId=spec.spec_id, path=spec.path, agent=instance.agent_id, base_oid=instance.base_oid or ""
    )
    return Decision([(instance.agent_id, data)], SpecReply(spec_id=spec.spec_id, rev=spec.rev + 1))


RULES: Final[Rules] = MappingProxyType(
    {
        SpecCreate: create,
        TaskClaim: claim,
        SpecObserve: observe,
        SpecFail: fail,
        SpecWait: wait,
        SpecRescan: rescan,
    }
)
