"""Each older form of an event and of a snapshot, lifted to the present one (HUB-5)."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from aegis_tui.domain import upcast
from aegis_tui.domain.event import event_from_wire
from aegis_tui.domain.qa.events import QaFinished
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, StoreError
from tests.frozen.logs import DATA

Plain = dict[str, Any]
MIDDLE: Plain = json.loads((DATA / "logs" / "1-middle.state.json").read_text("utf-8"))
WHOLE: Plain = json.loads((DATA / "logs" / "1.state.json").read_text("utf-8"))
"""States that the last program before this test would have kept."""


def without(*names: str) -> Callable[[Plain], None]:
    def take_out(plain: Plain) -> None:
        for name in names:
            del plain[name]

    return take_out


def unworded(plain: Plain) -> None:
    for run in plain["runs"]:
        for check in run["qa"]["checks"]:
            del check["status"], check["executed"]


def unreviewed(plain: Plain) -> None:
    for run in plain["runs"]:
        for piece in run["pieces"].values():
            del piece["review_ids"]


OLD_SNAPSHOTS: list[tuple[upcast.Step, Plain, Callable[[Plain], None], Plain]] = [
    (upcast.exchanges, MIDDLE, without("exchanges"), {"exchanges": []}),
    (upcast.ended_locks, MIDDLE, without("ended_locks"), {"ended_locks": []}),
    (upcast.scope_ends, MIDDLE, without("scope_ended", "scope_counts"), {"scope_ended": {}, "scope_counts": {}}),
    (upcast.past, MIDDLE, without("past_specs", "past_runs"), {}),
    (upcast.checks_of_runs, WHOLE, unworded, {}),
    (upcast.reviews_of_pieces, WHOLE, unreviewed, {}),
]


@pytest.mark.parametrize(
    ("step", "newest", "age", "then"), OLD_SNAPSHOTS, ids=lambda part: getattr(part, "__name__", "")
)
def test_a_snapshot_of_an_earlier_form_is_read(
    step: upcast.Step, newest: Plain, age: Callable[[Plain], None], then: Plain
) -> None:
    old = copy.deepcopy(newest)
    age(old)
    assert old != newest and step(old) != old
    assert Workspace.load(old).dump() == {**newest, **then}


def test_a_snapshot_from_before_the_fences_gets_the_tokens_that_writes_and_locks_name() -> None:
    old = copy.deepcopy(MIDDLE)
    del old["fences"]
    old["messages"]["writes"] = [{"agent_id": "w", "file": "a.py", "token": 7, "new_oid": "B"}]
    lifted = Workspace.load(old).dump()["fences"]
    (write,) = lifted["writes"]
    assert (write["seq"], write["agent_id"], write["token"]) == (0, "w", 7)
    held = {(lock["agent_id"], lock["token"]) for lock in old["locks"]["locks"]}
    assert {(agent, token) for agent, tokens in lifted["granted"].items() for token in tokens} == held | {("w", 7)}


def test_every_step_for_snapshots_has_an_old_one_here() -> None:
    tried = {step for step, *_ in OLD_SNAPSHOTS} | {upcast.fences}
    assert set(upcast.SNAPSHOT_STEPS) == tried


@pytest.mark.parametrize("newest", [MIDDLE, WHOLE])
def test_the_newest_form_and_the_given_one_stay_as_they_are(newest: Plain) -> None:
    before = copy.deepcopy(newest)
    assert upcast.lift_snapshot(newest) == newest == before


@pytest.mark.parametrize(
    ("old", "status", "executed"),
    [
        ({"ok": True, "passed": 3, "failed": 0, "new_failures": []}, "passed", 3),
        ({"ok": True, "passed": None, "failed": None, "new_failures": []}, "passed", None),
        ({"ok": True, "passed": 3, "failed": 1, "new_failures": []}, "failed", 4),
        ({"ok": False, "passed": None, "failed": None, "new_failures": ["x"]}, "failed", None),
        ({"ok": False, "status": "empty", "executed": 0}, "empty", 0),
    ],
)
def test_checks_of_old_logs_are_read(old: Plain, status: str, executed: int | None) -> None:
    check = {"check": "t", "command": "pytest", "duration_s": 1.0, **old}
    data = {"run": "run1", "round": 0, "tree": "T", "oid": "o", "ok": old["ok"], "checks": [check]}
    envelope = {"v": 1, "seq": 1, "type": "qa:finished", "agent_id": "hub", "timestamp": "t", "data": data}
    found = event_from_wire(envelope).data
    assert isinstance(found, QaFinished)
    assert (found.checks[0].status, found.checks[0].executed, found.checks[0].ok) == (status, executed, old["ok"])


def test_every_older_form_of_an_event_has_a_test_here() -> None:
    assert dict(upcast.EVENT_STEPS) == {"qa:finished": (upcast.four_words,)}


@pytest.mark.parametrize("part", sorted(WHOLE))
@pytest.mark.parametrize("value", [None, 1, "x", [], [1], [None], {}, {"a": 1}, {"runs": [1]}])
def test_what_is_no_snapshot_ends_in_one_of_the_errors_that_a_caller_expects(part: str, value: object) -> None:
    plain = {**copy.deepcopy(WHOLE), part: value}
    with suppress(AegisError, KeyError, TypeError, ValueError):
        Workspace.load(plain)


@pytest.mark.parametrize("data", [None, 1, "x", [], [1], {}, {"checks": 1}, {"checks": [1]}])
def test_what_is_no_event_of_the_log_is_named(data: object) -> None:
    envelope = {"v": 1, "seq": 7, "type": "qa:finished", "agent_id": "hub", "timestamp": "", "data": data}
    with pytest.raises(StoreError, match="event 7"):
        event_from_wire(envelope)
