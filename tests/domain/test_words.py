"""Every event has a sentence for a person, the same in the dashboard and at the command line."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from aegis_tui.cli.narrate import NARRATED, narrate
from aegis_tui.domain.event import AnyEventData, Event, event_from_wire
from aegis_tui.domain.instance.events import AgentState
from aegis_tui.domain.model import by_type
from aegis_tui.domain.words import sentence
from tests.frozen.logs import DATA


def logged(name: str) -> list[Any]:
    connection = sqlite3.connect(":memory:")
    connection.executescript((DATA / "logs" / f"{name}.sql").read_text("utf-8"))
    return [json.loads(body) for (body,) in connection.execute("SELECT body FROM event ORDER BY seq")]


LOGGED = [event for path in sorted((DATA / "logs").glob("*.sql")) if path.stem.isdigit() for event in logged(path.stem)]
SENTENCES: dict[str, set[str]] = {}
for item in LOGGED:
    SENTENCES.setdefault(item["type"], set()).add(sentence(event_from_wire(item)))


@pytest.mark.parametrize("kind", by_type(AnyEventData))
def test_a_sentence_is_one_line_without_the_marks_of_a_program(kind: str) -> None:
    for words in SENTENCES[kind]:
        assert words and "\n" not in words
        assert words == words.strip() and not set("{}[]") & set(words) and "None" not in words


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("agent:joined", "joins as worker, partition src/a/**"),
        ("agent:left", "leaves: done"),
        ("instance:prepared", "its worktree is ready"),
        ("instance:launched", "is started in pane %1"),
        ("instance:stopping", "is being ended: verdict given"),
        ("instance:exited", "ended with status 0"),
        ("instance:reclaimed", "its work is saved in refs/r"),
        ("instance:lost", "is lost: no heartbeat"),
        ("lock:renewed", "L12 #12 for 300 s more"),
        ("lock:wait_moved", "still waits for r.py:2-12, whose lines moved"),
        ("lock:withdrawn", "no longer waits for b.py: the wait for the lock has timed out"),
        ("lock:denied", "a.py EXCLUSIVE is not granted: one holds it"),
        ("lock:queued", "waits for one's lock on r.py:2-12, position 1 in the queue"),
        ("run:prepared", "created the integration branch of run1"),
        ("run:halted", "halts the run, so that no new work starts: lunch"),
        ("run:resumed", "resumes the run"),
        ("piece:held", "gamma waits for you: src/c/x.bin: nobody can review a binary file and 1 more finding"),
        ("rule:allowed", "allows this in gamma: src/c/x.bin: nobody can review a binary file"),
        ("piece:tested", "QA passes on beta merged with the newest integration branch"),
        ("instance:asking", "asks on its screen: Do you want to proceed?"),
        ("instance:asking", "asks nothing on its screen any more"),
        ("instance:answered", "gets the answer: No"),
        ("piece:stuck", "gamma waits for you, because no worker could finish it"),
        ("qa:accepted", "accepts the base's own failures"),
        ("run:partial-allowed", "allows a result without the pieces that fail"),
        ("merge:culprits-sought", "looks for the pieces that break QA: pytest: 1 new failure"),
        ("piece:left-out", "gamma is left out of the result: it builds on alpha, which is left out"),
        ("merge:rebuilt", "the pieces that are kept are merged again, rebuilt"),
        ("partition:changed", "may write src/b/** src/d/** from now on"),
        ("scope:requested", "asks to write src/b/z.py (q93): r"),
        ("specs.task-completed", "old: task t is done"),
        ("task:updated", "s0: task t is completed, 100%"),
    ],
)
def test_what_events_say(kind: str, words: str) -> None:
    assert words in SENTENCES[kind]


def test_the_command_line_tells_the_sentence_after_the_name() -> None:
    told = {item["type"]: line for item in LOGGED if (line := narrate(item))}
    assert set(told) <= set(NARRATED) <= set(by_type(AnyEventData))
    assert told["stage:changed"][8:] == " DONE"
    assert "  NATIVE-w02 waits for w01's lock on src/b/z.py, position 1 in the queue" in told["lock:queued"]
    assert told["run:committed"].endswith("  committed c on aegis/run1/result: feat: g")
    assert "\n  QA passed: pytest (1 passed, 0 failed)" in told["qa:finished"]
    assert ":" not in told["qa:finished"].splitlines()[0][8:], "the reasons stand below, once"


def test_a_type_or_form_of_a_newer_hub_is_passed_over() -> None:
    event: Event = event_from_wire(LOGGED[0])
    newer: Any = {**LOGGED[0], "type": "lock:borrowed"}
    assert narrate(newer) is None
    started = next(item for item in LOGGED if item["type"] == "run:started")
    newer = {**started, "data": {**started["data"], "more": 1}}
    assert narrate(newer) is None
    assert event.seq == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"state": "implementing", "progress": 0.5}, "implementing 50%"),
        ({"state": "implementing", "progress": 0.5, "note": "edits"}, "implementing 50%, edits"),
        (
            {"state": "limited", "progress": 0.5, "note": "slow down", "until": "2026-01-01T12:30:00.000Z"},
            "limited until 2026-01-01 12:30 UTC 50%, slow down",
        ),
        ({"state": "failed", "note": "no idea"}, "failed: no idea"),
        ({"state": "blocked", "cause": {"message": "no disk"}}, "blocked: no disk"),
        (
            {"state": "failed", "cause": {"message": "no", "outlook": "certain"}},
            "failed: no; no other instance gets the task, as it would fail in the same way",
        ),
    ],
)
def test_what_an_agent_says_of_itself_is_told_with_its_reason(data: dict[str, Any], words: str) -> None:
    assert (
        sentence(
            Event(
                1,
                "NATIVE-w01",
                "2026-01-01T00:00:00Z",
                AgentState.model_validate({"source": "agent", "progress": 0.0, **data}),
            )
        )
        == words
    )
