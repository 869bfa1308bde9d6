"""Turns the events of a run into lines for a person who follows it; events of no interest are left out.

The sentences come from `domain/words.py`. This module decides which events are shown, and adds details to a few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from aegis_tui.domain.boundary import allowed_words
from aegis_tui.domain.count import counted
from aegis_tui.domain.event import Event, event_from_wire
from aegis_tui.domain.ids import HUB, PERSON
from aegis_tui.domain.instance.events import AgentState, InstanceReclaimed
from aegis_tui.domain.message.events import MessageAcked
from aegis_tui.domain.model import SCHEMA_VERSION
from aegis_tui.domain.piece.events import PieceChecked, PieceHeld, PieceReopened, PieceStuck, PieceTested
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.qa.events import QaBaseChecked, QaFinished
from aegis_tui.domain.rule.finding import RuleFinding
from aegis_tui.domain.run.events import RunFacts, RunStarted
from aegis_tui.domain.wire.answer import Envelope
from aegis_tui.domain.words import sentence
from aegis_tui.errors import StoreError

_HEADS = ("run:started", "stage:changed")
"""Events whose lines are not indented and name no agent."""

_QA_WORDS = {"not_run": "COULD NOT RUN", "empty": "EXECUTED NO TEST"}


def narrate(event: Envelope) -> str | None:
    """Return the text for an event as the hub sends it: time (UTC, `HH:MM:SS`), who, what happened; details below.

    None if the event is not in `NARRATED` or is of no interest to a person, or if this version cannot read it. The text
    may have hidden characters; whoever prints it makes them harmless.

    Raises:
        KeyError: It has no `type`.
    """
    if event["type"] not in NARRATED:
        return None
    try:
        logged = event_from_wire({"v": SCHEMA_VERSION, "seq": 0, **event})
    except StoreError:
        return None
    if not NARRATED[logged.type](logged):
        return None
    who = "" if logged.agent_id == HUB or logged.type in _HEADS else f"{logged.agent_id} "
    margin = "" if logged.type in _HEADS else "  "
    details = "".join(f"\n{line}" for line in _details(logged))
    words = sentence(logged)
    if isinstance(logged.data, QaFinished) and details:
        words = words.partition(":")[0]  # the detail lines give the reasons
    return f"{logged.timestamp[11:19]} {margin}{who}{words}{details}"


def _always(event: Event) -> bool:
    return True


def _is_trouble(event: Event) -> bool:
    return isinstance(event.data, AgentState) and event.data.state in ("failed", "blocked", "limited")


def _is_not_delivered(event: Event) -> bool:
    return isinstance(event.data, MessageAcked) and event.data.delivery != "delivered"


def _is_sent_back(event: Event) -> bool:
    return isinstance(event.data, PieceChecked) and not event.data.ok


def _is_kept(event: Event) -> bool:
    return isinstance(event.data, InstanceReclaimed) and (not event.data.removed or bool(event.data.rescue_ref))


NARRATED: Final[Mapping[str, Callable[[Event], bool]]] = MappingProxyType(
    {
        "run:started": _always,
        "stage:changed": _always,
        "gate:blocked": _always,
        "design:proposed": lambda event: event.agent_id != PERSON,  # a design that the person gave is not news
        "instance:planned": _always,
        "agent:state": _is_trouble,
        "message:acked": _is_not_delivered,
        "instance:lost": _always,
        "instance:reclaimed": _is_kept,
        "environment:prepared": _always,
        "lock:queued": _always,
        "piece:checked": _is_sent_back,
        "piece:held": _always,
        "piece:tested": lambda event: isinstance(event.data, PieceTested) and not event.data.ok,
        "piece:reopened": lambda event: isinstance(event.data, PieceReopened) and event.data.handed_over,
        "piece:stuck": _always,
        "rule:allowed": _always,
        "conflict:detected": _always,
        "conflict:resolved": _always,
        "review:completed": _always,
        "merge:applied": _always,
        "merge:rejected": _always,
        "merge:culprits-sought": _always,
        "merge:rebuilt": _always,
        "piece:left-out": _always,
        "run:partial-allowed": _always,
        "qa:base-checked": _always,
        "qa:accepted": _always,
        "qa:finished": _always,
        "run:committed": _always,
    }
)
"""Event type -> whether an event of that type is shown; other types never are."""


def _details(event: Event) -> Iterator[str]:
    match event.data:
        case RunStarted():
            yield from _facts(event.data.facts)
            yield from (f"  the boundary is open: {words}" for words in allowed_words(event.data.options.boundary))
        case PieceHeld():
            yield from (line for item in event.data.broken if item.severity == "person" for line in _held(item))
        case PieceStuck():
            yield f"    to advise its worker: aegis-tui inbox answer {event.data.piece} TEXT"
            yield f"    to leave it out: {event.data.command}"
        case QaFinished():
            yield from (line for check in event.data.checks for line in _check(check))
        case QaBaseChecked(ok=False):
            yield from (line for check in event.data.checks if not check.ok for line in _check(check))
        case _:
            return


def _held(item: RuleFinding) -> Iterator[str]:
    yield f"    {item.file}: {item.msg} ({item.rule})"
    yield f"      aegis-tui rules allow {item.key}"


def _facts(facts: RunFacts) -> Iterator[str]:
    if number := facts.uncommitted:
        yield f"  {counted(number, 'uncommitted path')} {'is' if number == 1 else 'are'} not part of the run"
    if facts.boundary_level == "none":
        yield "  NO SANDBOX: agents run with all your rights"
    if facts.scripted:
        yield "  scripted model: its replies are read from files"
    if others := facts.other_models:
        yield f"  model {facts.model}; also served: {', '.join(others)} (choose with --model)"
    if setup := facts.environment.setup:
        yield f"  worktrees are set up with {setup.splitlines()[0]} (its output: aegis-tui environment log)"
    if included := facts.environment.included:
        more = facts.environment.included_count - len(included)
        yield f"  copied into each worktree: {', '.join(included)}{f' and {more} more' if more else ''}"
    yield from (f"  {warning}" for warning in facts.warnings)


def _check(check: QaCheck) -> Iterator[str]:
    word = _QA_WORDS.get(check.status, "FAILED")
    if check.ok:
        word = "passed" if check.status == "passed" else "fails as on the base"
    count = f" ({check.passed} passed, {check.failed or 0} failed)" if check.passed is not None else ""
    yield f"  QA {word}: {check.command}{count}"
    if check.note:
        yield f"    {check.note}"
    if not check.ok and check.reason:
        yield f"    {check.reason}" + (f"; {check.remedy}" if check.remedy else "")
