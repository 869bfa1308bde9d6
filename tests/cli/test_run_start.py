"""`run` asks again, under the same request, when the hub dies before it has answered."""

from __future__ import annotations

import io
from contextlib import nullcontext
from typing import Any, cast

import pytest

from aegis_tui.cli import run as cli_run
from aegis_tui.cli.place import Place
from aegis_tui.domain.wire.reply import RunReply
from aegis_tui.errors import DesignRefused, HubUnavailable, Refused


class Hubs:
    """Hubs that are started one after the other; each answers as it was told to."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def started_hub(self) -> Hubs:
        return self

    def reply(self, kind: type, command_type: str, *, request_id: str, **fields: Any) -> dict[str, Any]:
        assert command_type == "run:start"
        self.asked.append(request_id)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def start(hubs: Hubs) -> RunReply:
    return cli_run._ask(cast(Place, hubs), {"goal": "g", "design": None, "options": {}})


def test_the_request_is_the_same_until_a_hub_answers(capsys: pytest.CaptureFixture[str]) -> None:
    hubs = Hubs(HubUnavailable("gone"), HubUnavailable("gone"), {"run": "run1"})
    assert start(hubs) == {"run": "run1"}
    assert len(hubs.asked) == 3 and len(set(hubs.asked)) == 1
    assert "gone; trying again" in capsys.readouterr().err


def test_a_token_of_the_hub_before_is_read_again() -> None:
    hubs = Hubs(Refused("no valid token", code="unauthorized"), {"run": "run1"})
    assert start(hubs) == {"run": "run1"}


def test_following_goes_on_with_the_token_of_a_hub_that_was_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pages(Hubs):
        def envelopes(self, *, after: int, limit: int) -> list[dict[str, Any]]:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return [answer]

    monkeypatch.setattr("time.sleep", lambda _: None)
    hubs = Pages(Refused("no valid token", code="unauthorized"), HubUnavailable("gone"), {"seq": 1})
    _, page = cli_run._patiently(cast(Place, hubs), cast(Any, hubs), 0)
    assert [event["seq"] for event in page] == [1]


def test_a_refusal_is_not_asked_again() -> None:
    hubs = Hubs(Refused("no commit"))
    with pytest.raises(Refused):
        start(hubs)
    assert len(hubs.asked) == 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("may_ask", [True, False])
def test_a_headless_run_asks_nothing_even_in_a_terminal(monkeypatch: pytest.MonkeyPatch, may_ask: bool) -> None:
    class Workspace(Hubs):
        paths = None

    hubs, shown = (
        Workspace(DesignRefused("no QA command is known", suggestions=["make ci"]), {"run": "run1"}),
        Terminal(),
    )
    monkeypatch.setattr("sys.stdin", Terminal("1\n"))
    monkeypatch.setattr("sys.stderr", shown)
    with nullcontext() if may_ask else pytest.raises(DesignRefused, match="no QA command"):
        assert cli_run._started(cast(Place, hubs), "g", None, {}, keep_hub=True, may_ask=may_ask) == "run1"
    assert len(hubs.asked) == (2 if may_ask else 1) and bool(shown.getvalue()) == may_ask


def test_a_hub_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_run, "RECONNECT_S", 0.3)
    hubs = Hubs(*[HubUnavailable("gone")] * 99)
    with pytest.raises(HubUnavailable):
        start(hubs)
    assert 1 < len(hubs.asked) < 10


@pytest.mark.parametrize(
    ("yes", "by", "waits"), [(False, "NATIVE-c01", 1), (True, "NATIVE-c01", 0), (False, "person", 0)]
)
def test_a_proposed_design_that_waits_for_the_person_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], yes: bool, by: str, waits: int
) -> None:
    facts = {"workspace": "k", "base_oid": "b", "base_branch": "main", "boundary_level": "bubblewrap"}
    feature = {"id": "search", "title": "S", "brief": "s", "partition": ["src/**"]}
    design = {"goal": "g", "features": [feature]}
    report = {"ok": True, "run": "run1", "stages": [], "commit": None}
    logged = [
        ("person", "run:started", {"run": "run1", "goal": "g", "options": {"yes": yes}, "facts": facts}),
        (by, "design:proposed", {"run": "run1", "design_id": "d1", "design": design}),
        ("hub", "run:finished", {"run": "run1", "report": report}),
    ]
    stamp = "2026-01-01T00:00:00.000Z"
    events = [{"type": kind, "agent_id": agent, "timestamp": stamp, "data": data} for agent, kind, data in logged]
    monkeypatch.setattr(cli_run, "_events", lambda place, after: iter(events))
    assert cli_run.follow(cast(Place, None), "run1", as_json=True) == 0
    told = capsys.readouterr().err
    assert told.count("answer there") == waits
    assert ("proposes a design: search" in told) is (by != "person")
