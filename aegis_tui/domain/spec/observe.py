"""Rules of the hub's own commands about the files of specs, and the claim of a spec by a run (SPEC-3, SPEC-4, SPEC-10).

A file is observed any number of times, in any order: what counts is the digest of its content. The file is
authoritative for what is wanted, the log for the status; a status that somebody writes into a file is a wish.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from aegis_tui.domain.code_map.text import one_line
from aegis_tui.domain.decision import Actor, Decision
from aegis_tui.domain.ids import HUB
from aegis_tui.domain.inert import inert
from aegis_tui.domain.lock.model import Draft
from aegis_tui.domain.spec.commands import SpecFail, SpecObserve, SpecRescan, SpecWait
from aegis_tui.domain.spec.events import SpecContent, SpecCreated, SpecFailed, SpecUpdated
from aegis_tui.domain.spec.model import ENDED, SpecState, SpecStatus, find_cycle_from
from aegis_tui.domain.spec.transition import check_transition
from aegis_tui.domain.wire.reply import SpecObservedReply, SpecRescanReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import Conflict, HubUnavailable, Refused

_OF_THE_HUB: frozenset[SpecStatus] = frozenset({"planning", "in-progress", "diff-submitted"})
"""What a new file cannot be: nobody works on it here."""


def observe(workspace: Workspace, command: SpecObserve, actor: Actor, request_id: str) -> Decision:
    """Record what the file of a spec says, if that is new; the reply has the status that the spec has from now on.

    A status that may not follow is not taken over, and the reply says why.

    Raises:
        Refused: The id is that of a feature of a run, or the dependencies form a cycle, which the message names.
    """
    spec = workspace.specs.by_id.get(command.spec_id)
    if spec is not None and spec.run is not None:
        raise Refused(f"{spec.spec_id} is a feature of {spec.run}", "give the spec another id", code="spec.exists")
    if spec is None:
        return _register(workspace, command)
    is_same = command.digest == ("" if spec.is_gone else spec.digest)
    if is_same:
        return _answer(spec.spec_id, spec.status)
    status, refused = spec.status, ""
    if command.digest:
        check_dependencies(workspace, spec.spec_id, command.dependencies)
    if command.digest and command.digest != spec.digest:  # else it is gone, or back as it was
        status, refused = _wished(command.spec_id, spec.status, command.status)
    content = _content(command)
    data = SpecUpdated(specId=spec.spec_id, path=command.path, status=status, content=content)
    return _answer(spec.spec_id, status, refused, [(HUB, data)])


def _register(workspace: Workspace, command: SpecObserve) -> Decision:
    if not command.digest:
        return _answer(command.spec_id, "cancelled")
    status, refused = command.status, ""
    if (past := workspace.specs.past.get(command.spec_id)) is not None:
        status, refused = _wished(command.spec_id, _status(past), command.status)
        if status in ENDED:  # it has ended, and stays so
            return _answer(command.spec_id, status, refused)
    elif status in _OF_THE_HUB:
        status, refused = "draft", f"nobody works on {command.spec_id} here"
    check_dependencies(workspace, command.spec_id, command.dependencies)
    content = _content(command)
    data = SpecCreated(
        specId=command.spec_id,
        path=command.path,
        title=content.title,
        dependencies=content.dependencies,
        priority=content.priority,
        status=status,
        digest=content.digest,
    )
    return _answer(command.spec_id, status, refused, [(HUB, data)])


def _status(past: str) -> SpecStatus:
    return "completed" if past == "completed" else "failed" if past == "failed" else "cancelled"


def _wished(spec_id: str, now: SpecStatus, wanted: SpecStatus) -> tuple[SpecStatus, str]:
    """Return the status after a person wrote one into the file, and why it is not that one; empty if it is."""
    try:
        check_transition(spec_id, now, wanted, by="person")
    except Refused as error:
        return now, error.message
    return wanted, ""


def _content(command: SpecObserve) -> SpecContent:
    return SpecContent(
        digest=command.digest,
        title=one_line(inert(command.title, keep="\n\t")),
        priority=command.priority,
        dependencies=command.dependencies,
    )


def _answer(spec_id: str, status: SpecStatus, refused: str = "", drafts: list[Draft] | None = None) -> Decision:
    return Decision(drafts or [], SpecObservedReply(spec_id=spec_id, status=status, refused=refused))


def check_dependencies(workspace: Workspace, spec_id: str, needs: tuple[str, ...]) -> None:
    """Return if no spec would wait for itself with these dependencies.

    Raises:
        Refused: One would; the message names the cycle (code `spec.cycle`).
    """

    def needs_of(name: str) -> tuple[str, ...]:
        spec = workspace.specs.by_id.get(name)
        return needs if name == spec_id else spec.dependencies if spec else ()

    if cycle := find_cycle_from(spec_id, needs_of):
        path = " -> ".join(cycle)
        raise Refused(f"the dependencies form a cycle: {path}", "remove one of these dependencies", code="spec.cycle")


def claimed_together(workspace: Workspace, specs: Mapping[str, tuple[str, ...]], run: str) -> list[Draft]:
    """Return the events by which a run claims several specs, which may depend on each other.

    Args:
        workspace: The state.
        specs: Id of each spec -> the features of the run that are its work.
        run: The id of the run.

    Raises:
        Conflict: As `claimed` does for one of them; then none is claimed.
    """
    claims = [claimed(workspace, name, run, pieces=pieces, together=specs) for name, pieces in specs.items()]
    return [draft for drafts in claims for draft in drafts]


def claimed(
    workspace: Workspace, spec_id: str, run: str, *, pieces: tuple[str, ...] = (), together: Container[str] = ()
) -> list[Draft]:
    """Return the event by which a run claims a spec; of several claims only the first one succeeds (SPEC-10).

    Args:
        workspace: The state.
        spec_id: The spec.
        run: The id of the run.
        pieces: The features of the run that are its work; empty if all are.
        together: The specs that the same run claims; the spec does not wait for these.

    Raises:
        Conflict: The spec is unknown, its file is gone, it is not approved, waits for others, or was claimed before
            (code `spec.claimed`).
    """
    spec = workspace.specs.by_id.get(spec_id)
    is_free = spec is not None and spec.has_file and spec.by_run is None
    if spec is None or not is_free or not workspace.specs.is_ready(spec, together=together):
        reason = "there is no such spec"
        if spec is not None:
            ready = spec.status == "approved"
            reason = "it waits for other specs, or its file is gone" if ready else f"its status is {spec.status}"
        raise Conflict(f"{spec_id} cannot be claimed: {reason}", "read the spec again", code="spec.claimed")
    return [(HUB, SpecUpdated(specId=spec_id, path=spec.path, status="planning", by_run=run, pieces=pieces))]


def _is_startable(workspace: Workspace, spec: SpecState) -> bool:
    return any(item is spec for item in workspace.specs.startable())


def fail(workspace: Workspace, command: SpecFail, actor: Actor, request_id: str) -> Decision:
    """Record that a ready spec cannot be started; one that is not ready stays as it is."""
    spec = workspace.specs.by_id.get(command.spec_id)
    if spec is None or not _is_startable(workspace, spec):
        return Decision()
    reason = one_line(inert(command.reason, keep="\n\t"), limit=1000)
    return Decision([(HUB, SpecFailed(specId=spec.spec_id, path=spec.path, reason=reason))])


def wait_reason(text: str) -> str:
    """Return a reason as the state keeps it: one line of at most 1,000 characters that is shown inert."""
    return one_line(inert(text, keep="\n\t"), limit=1000)


def wait(workspace: Workspace, command: SpecWait, actor: Actor, request_id: str) -> Decision:
    """Record why an approved spec cannot be started now; no event if that is known, or the spec is not approved."""
    spec = workspace.specs.by_id.get(command.spec_id)
    reason = wait_reason(command.reason)
    if spec is None or spec.status != "approved" or spec.waits == reason:
        return Decision()
    data = SpecUpdated(specId=spec.spec_id, path=spec.path, status=spec.status, waits=reason)
    return Decision([(HUB, data)])


def rescan(workspace: Workspace, command: SpecRescan, actor: Actor, request_id: str) -> Decision:
    """Return what the hub has put into the command: the specs and problems that it has found.

    Raises:
        HubUnavailable: It has put in nothing, as this hub does not read specs.
    """
    if command.answer is None:
        raise HubUnavailable("this hub does not read specs", "aegis-tui hub start")
    return Decision([], SpecRescanReply(specs=command.answer["specs"], problems=command.answer["problems"]))
