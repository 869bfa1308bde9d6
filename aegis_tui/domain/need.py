"""Lists what waits for the person: on the dashboard all the time, and by `aegis-tui inbox` (WISH-8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from aegis_tui.domain.count import counted
from aegis_tui.domain.event import Event
from aegis_tui.domain.ids import instance_id
from aegis_tui.domain.inert import one_line
from aegis_tui.domain.instance.events import AgentState, InstanceAnswered, InstanceAsking
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.model import EventData
from aegis_tui.domain.piece.events import PieceHeld, PieceStuck
from aegis_tui.domain.qa.check import waits_for_person
from aegis_tui.domain.qa.events import QaBaseChecked, QaFinished
from aegis_tui.domain.run.events import DesignProposed, RunFinished, RunHalted
from aegis_tui.domain.run.model import Run, RunStatus
from aegis_tui.domain.scope.events import ScopeRequested
from aegis_tui.domain.spec.events import SpecUpdated
from aegis_tui.domain.workspace import Workspace


class Need(NamedTuple):
    """Something that waits for the person, because only they can decide or do it."""

    kind: str
    """`design`, `instance`, `permission`, `scope`, `rule`, `piece`, `base`, `partial`, `machine`,
    `halted`, `ended`, `spec` (an approved spec that cannot be started) or `done` (specs that a run has completed)."""
    key: str
    """The id of the design, agent, scope request, run or spec, or the name of the piece."""
    words: str
    """A sentence that says what is needed."""
    prompt: str = ""
    """The id of the question on the screen of an instance, if the kind is `permission`."""
    choices: tuple[str, ...] = ()
    """What can be chosen for that question; empty if it can be answered in the pane only."""

    @property
    def name(self) -> str:
        """The name that the person gives to say which need they answer: the key, for an agent its short id."""
        return instance_id(self.key) if self.kind in OF_INSTANCES else self.key


OF_INSTANCES = frozenset({"instance", "permission"})
"""Kinds of needs whose key is an agent id."""
ASKING = frozenset({"asking", "blocked"})
"""States in which an agent waits for a person."""
WAITING = ASKING | {"failed"}
"""States in which only a person can bring an agent further; in an open run, the hub replaces one that failed."""


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
    return Need("machine", run, f"QA will not pass, because a check already fails on the base: {one_line(base.reason)}")


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
            yield Need("piece", piece.name, f"{piece.name} waits until you advise its worker or leave it out: {first}")


def _of_instances(workspace: Workspace) -> Iterator[Need]:
    for item in workspace.instances.alive():
        if item.asks is not None:
            yield _of_screen(item)
        elif item.state in ASKING or (item.state == "failed" and item.run is None):
            note = f": {one_line(item.note)}" if item.note else ""
            verb = "has" if item.state == "failed" else "is"
            yield Need("instance", item.agent_id, f"{item.instance_id} {verb} {item.state}{note}")


def _of_screen(item: Instance) -> Need:
    asks = item.asks
    words = one_line(asks.screen.words) if asks else ""
    choices = tuple(one_line(choice) for choice in asks.screen.choices) if asks else ()
    pane = "" if choices else f"; answer in its pane: aegis-tui attach {item.instance_id}"
    return Need(
        "permission",
        item.agent_id,
        f"{item.instance_id} asks on its screen: {words}{pane}",
        asks.prompt if asks else "",
        choices,
    )


def _of_ended(run: Run | None) -> Iterator[Need]:
    """Yield the need for a run that ended without its whole result, until the person says that they know it."""
    if run is not None and run.waits_to_be_seen:
        result = "with an incomplete result" if run.commit else "without a result"
        said = str((run.error or {}).get("message", "")).strip().partition("\n")[0]
        yield Need("ended", run.run, f"{run.run} ended {result}{f': {one_line(said)}' if said else ''}")


def _of_waiting_specs(workspace: Workspace) -> Iterator[Need]:
    """Yield a need for each reason why approved specs cannot be started, with the first spec as its key."""
    by_reason: dict[str, list[str]] = {}
    for spec in workspace.specs.startable():
        if spec.waits:
            by_reason.setdefault(spec.waits, []).append(spec.spec_id)
    for reason, names in by_reason.items():
        more = f" and {counted(len(names) - 1, 'more spec')}" if len(names) > 1 else ""
        yield Need("spec", names[0], f"{names[0]}{more} cannot be started: {one_line(reason)}")


def _of_completed_specs(workspace: Workspace) -> Iterator[Need]:
    """Yield a need for each run that has completed specs, until the person says that they know it."""
    runs = dict.fromkeys(spec.by_run for spec in workspace.specs.by_id.values() if spec.waits_to_be_seen)
    for run in filter(None, runs):
        first, *others = workspace.specs.unseen(run)
        names = first.spec_id if not others else f"{first.spec_id} and {counted(len(others), 'more spec')}"
        result = f": {first.oid[:10]} on {first.branch}" if first.oid else ""
        yield Need("done", run, f"{run} has completed {names}{result}")


def needs(workspace: Workspace) -> list[Need]:
    """Return everything that waits for the person now, most urgent first; empty if nothing does.

    The order is: a proposed design, instances that ask, are blocked or have failed, requests to write outside a
    partition, what merge rules found, pieces that no worker gets through, failures of the base, a halted run, the
    newest run if it ended without its whole result, approved specs that cannot be started, and completed ones.
    """
    open_needs: list[Need] = []
    run = workspace.runs.current()
    if run is not None and run.is_open and run.proposed is not None and run.design is None:
        open_needs.append(Need("design", run.design_id or "", "a proposed design waits for your answer"))
    open_needs += _of_instances(workspace)
    for name, asked in workspace.scope_requests.items():
        words = f"{instance_id(workspace.scope_askers[name])} asks to write {one_line(asked.path)}"
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
    open_needs += _of_ended(workspace.runs.latest())
    open_needs += (*_of_waiting_specs(workspace), *_of_completed_specs(workspace))
    return open_needs


EMPTY: Final = (
    "nothing is waiting for you",
    "agents that ask you something or have failed, and designs, gates and runs that need you, are listed here",
)
"""What is shown instead of an empty list."""
NEED_EVENTS: Final = (
    "agent:state",
    "design:proposed",
    "instance:answered",
    "instance:asking",
    "piece:held",
    "piece:stuck",
    "qa:base-checked",
    "qa:finished",
    "run:finished",
    "run:halted",
    "scope:requested",
    "specs.updated",
)
"""The types of events that `waiting_since` needs; others may be left out."""

_OPENED_BY: Final[Mapping[type[EventData], tuple[str, str]]] = MappingProxyType(
    {
        DesignProposed: ("design", "design_id"),
        PieceHeld: ("rule", "piece"),
        PieceStuck: ("piece", "piece"),
        RunHalted: ("halted", "run"),
        ScopeRequested: ("scope", "request"),
    }
)
"""Type of an event -> the kind of the need that it opens, and the field of the event with the need's key."""


def _turn(since: dict[tuple[str, str], str], key: tuple[str, str], timestamp: str, *, is_open: bool) -> None:
    """Note since when something waits; if it does not wait any more, forget that."""
    if is_open:
        since.setdefault(key, timestamp)
    else:
        since.pop(key, None)


def waiting_since(events: Iterable[Event]) -> dict[tuple[str, str], str]:
    """Return since when each thing of `needs` has been waiting: kind and key -> RFC 3339 UTC.

    Args:
        events: The log in order. What it does not hold any more is missing in the result, and what has been answered
            stays in it.
    """
    since: dict[tuple[str, str], str] = {}
    for event in events:
        match event.data:
            case AgentState(state=state) if state in WAITING:
                since.setdefault(("instance", event.agent_id), event.timestamp)
            case AgentState():
                since.pop(("instance", event.agent_id), None)
            case SpecUpdated(waits=str(reason)):
                _turn(since, ("spec", event.data.specId), event.timestamp, is_open=bool(reason))
            case InstanceAsking() | InstanceAnswered():
                is_open = isinstance(event.data, InstanceAsking) and event.data.asks is not None
                _turn(since, ("permission", event.agent_id), event.timestamp, is_open=is_open)
            case QaBaseChecked(run=name) | QaFinished(run=name):
                since.update(dict.fromkeys(((kind, name) for kind in ("base", "partial", "machine")), event.timestamp))
            case RunFinished(run=name):
                since.update(dict.fromkeys((("ended", name), ("done", name)), event.timestamp))
            case data if (opened := _OPENED_BY.get(type(data))) is not None:
                since[(opened[0], getattr(data, opened[1]))] = event.timestamp
            case _:
                continue
    return since
