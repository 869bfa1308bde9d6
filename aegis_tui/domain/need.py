"""Lists what waits for the person: on the dashboard all the time, and by `aegis-tui inbox` (WISH-8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from aegis_tui.domain.count import counted
from aegis_tui.domain.event import Event
from aegis_tui.domain.inert import one_line
from aegis_tui.domain.instance.events import AgentState
from aegis_tui.domain.piece.events import PieceHeld, PieceStuck
from aegis_tui.domain.qa.check import waits_for_person
from aegis_tui.domain.qa.events import QaBaseChecked, QaFinished
from aegis_tui.domain.run.events import DesignProposed, RunHalted
from aegis_tui.domain.run.model import Run, RunStatus
from aegis_tui.domain.scope.events import ScopeRequested
from aegis_tui.domain.workspace import Workspace


class Need(NamedTuple):
    """Something that waits for the person, because only they can decide or do it."""

    kind: str
    """`design`, `instance`, `scope`, `rule`, `piece`, `base`, `partial`, `machine` or `halted`."""
    key: str
    """The id of the design, agent, scope request or run, or the name of the piece."""
    words: str
    """A sentence that says what is needed."""


ASKING = frozenset({"asking", "blocked"})
"""States in which an agent waits for a person."""


def _of_base(run: str, base: QaBaseChecked) -> Need:
    """Return the need for a base that fails QA, so that the run could not pass at its end either.

    Its kind is `base` if the person can accept the failures, else `machine`. `run` is the id of the run. It is shown as
    soon as the base was checked, so that the person can act in time.
    """
    if any(check.is_acceptable for check in base.checks):
        return Need(
            "base",
            run,
            f"QA will not pass until you accept the failures of the base or repair it: {one_line(base.reason)}",
        )
    return Need("machine", run, f"QA will not pass, because the base does not pass either: {one_line(base.reason)}")


def _of_rules(run: Run) -> Iterator[Need]:
    for piece in run.pieces.values():
        if held := run.held_findings(piece):
            more = f" and {counted(len(held) - 1, 'more finding')}" if len(held) > 1 else ""
            first = f"{one_line(held[0].file)}: {one_line(held[0].msg)}"
            yield Need("rule", piece.name, f"{piece.name} waits until you allow or refuse this: {first}{more}")


def _of_stuck(run: Run) -> Iterator[Need]:
    for piece in run.pieces.values():
        if piece.stuck:
            first = one_line(piece.stuck.strip().partition("\n\n")[0])
            yield Need("piece", piece.name, f"{piece.name} waits for your advice, or is left out: {first}")


def needs(workspace: Workspace) -> list[Need]:
    """Return everything that waits for the person now, most urgent first; empty if nothing does.

    The order is: a proposed design, instances that ask or are blocked, requests to write outside a partition, what
    merge rules found, pieces that no worker gets through, failures of the base, and a halted run.
    """
    open_needs: list[Need] = []
    run = workspace.runs.current()
    if run is not None and run.is_open and run.proposed is not None and run.design is None:
        open_needs.append(Need("design", run.design_id or "", "a proposed design waits for your answer"))
    for item in workspace.instances.alive():
        if item.state in ASKING:
            note = f": {one_line(item.note)}" if item.note else ""
            open_needs.append(Need("instance", item.agent_id, f"{item.instance_id} is {item.state}{note}"))
    for name, asked in workspace.scope_requests.items():
        words = f"{workspace.scope_askers[name]} asks to write {one_line(asked.path)}"
        open_needs.append(Need("scope", name, words))
    if run is not None and run.is_open:
        open_needs += (*_of_rules(run), *_of_stuck(run))
    if run is not None and run.is_open and run.qa is not None and waits_for_person(run.qa.checks):
        checks = ", ".join(one_line(check.command) for check in run.qa.checks if not check.ok)
        open_needs.append(
            Need("base", run.run, f"QA waits until you accept the failures of the base or cancel the run: {checks}")
        )
    if run is not None and run.is_open and run.waits_for_partial:
        words = "QA fails and no round is left: leave out the pieces that break it, or cancel the run"
        open_needs.append(Need("partial", run.run, words))
    if run is not None and run.is_open and run.base_qa is not None:
        open_needs.append(_of_base(run.run, run.base_qa))
    if run is not None and run.status is RunStatus.HALTED:
        open_needs.append(Need("halted", run.run, f"{run.run} is halted; resume it when you are ready"))
    return open_needs


NEED_EVENTS: Final = (
    "agent:state",
    "design:proposed",
    "piece:held",
    "piece:stuck",
    "qa:base-checked",
    "qa:finished",
    "run:halted",
    "scope:requested",
)
"""The types of events that `waiting_since` needs; others may be left out."""


def waiting_since(events: Iterable[Event]) -> dict[tuple[str, str], str]:
    """Return since when each thing of `needs` has been waiting: kind and key -> RFC 3339 UTC.

    Args:
        events: The log in order. What it does not hold any more is missing in the result, and what has been answered
            stays in it.
    """
    since: dict[tuple[str, str], str] = {}
    for event in events:
        match event.data:
            case AgentState(state=state) if state in ASKING:
                since.setdefault(("instance", event.agent_id), event.timestamp)
            case AgentState():
                since.pop(("instance", event.agent_id), None)
            case DesignProposed(design_id=name):
                since[("design", name)] = event.timestamp
            case PieceHeld(piece=name):
                since[("rule", name)] = event.timestamp
            case PieceStuck(piece=name):
                since[("piece", name)] = event.timestamp
            case QaBaseChecked(run=name) | QaFinished(run=name):
                since.update(dict.fromkeys(((kind, name) for kind in ("base", "partial", "machine")), event.timestamp))
            case RunHalted(run=name):
                since[("halted", name)] = event.timestamp
            case ScopeRequested(request=name):
                since[("scope", name)] = event.timestamp
            case _:
                continue
    return since
