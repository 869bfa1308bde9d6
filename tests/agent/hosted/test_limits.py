"""A program that meets its usage limit waits until it ends, says so, and goes on by itself at most five times (M19)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aegis_tui.agent.hosted.message_tap import HttpMessage
from aegis_tui.agent.hosted.patient import GO_ON
from tests.agent.hosted.cage import Cage, Play

RULES: dict[str, Any] = {
    "rules": [{"pattern": "limit: try again in (?P<seconds>[0-9.]+) s"}, {"pattern": "limit"}],
    "shortest_wait_s": 0.0,
    "usual_wait_s": 0.3,
}
WORKS = {"write": {"src/a/new.py": "x = 1\n"}}


def limited(pause_s: float = 0.4) -> dict[str, Any]:
    return {"code": 1, "print": [f"usage limit: try again in {pause_s} s"]}


def refusal(status: int, *, pause: str = "", body: str = "") -> HttpMessage:
    fields = {b"retry-after": pause.encode()} if pause else {}
    return HttpMessage(b"HTTP/1.1 %d No" % status, fields, body.encode())


ANSWER = HttpMessage(b"HTTP/1.1 200 OK", {}, b"")


def states(cage: Cage) -> list[str]:
    return [item.fields["state"] for item in cage.hub.of_type("agent:report")]


def test_it_waits_until_the_time_that_the_program_names_and_goes_on_with_its_conversation(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will(limited(1.5), WORKS)
        before = datetime.now(UTC)
        await cage.work()
        report = (await cage.ends("limited")).fields
        assert report["note"] == "usage limit of a parrot: usage limit: try again in 1.5 s"
        until = datetime.fromisoformat(report["until"])
        assert before + timedelta(seconds=1.4) <= until
        await cage.ends("done")
        assert datetime.now(UTC) >= until
        assert states(cage) == ["idle", "exploring", "limited", "exploring", "done"]
        assert "until" not in cage.hub.of_type("agent:report")[-1].fields
        first, second = cage.runs()
        assert first["argv"][0] == "--session" and second["argv"][0] == "--resume"
        assert second["said"] == GO_ON

    play(scenario, usage_limit=RULES)


def test_after_five_waits_the_task_fails_for_good(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will(limited(0.0))
        await cage.work()
        failed = (await cage.ends("failed")).fields
        assert "a parrot has reached its usage limit 6 times" in failed["note"]
        assert failed["cause"]["code"] == "agent.limited" and failed["cause"]["outlook"] == "certain"
        assert len(cage.runs()) == 6 and states(cage).count("limited") == 5

    play(scenario, usage_limit=RULES)


def test_a_limit_of_weeks_is_not_waited_for(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will(limited(9 * 24 * 3600))
        await cage.work()
        failed = (await cage.ends("failed")).fields
        assert "which lasts until 20" in failed["note"] and failed["cause"]["code"] == "agent.limited"
        assert states(cage).count("limited") == 0

    play(scenario, usage_limit=RULES)


def test_a_task_that_is_done_is_not_done_again_because_of_its_words(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({**WORKS, "print": [{"result": "feat: add the usage limit"}]})
        await cage.work()
        await cage.ends("done")
        assert len(cage.runs()) == 1 and "limited" not in states(cage)

    play(scenario, usage_limit=RULES)


def test_a_program_that_ends_well_after_a_refusal_and_says_so_was_limited(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"print": ["rate limit"], "sleep": 1.0}, WORKS)
        await cage.work()
        await cage.begun()
        await cage.limits.take(refusal(429, pause="3"), 900)
        await cage.ends("done")
        assert states(cage).count("limited") == 1 and len(cage.runs()) == 2

    play(scenario, usage_limit=RULES)


def test_a_refusal_is_shown_while_the_program_waits_by_itself_and_ends_with_the_next_answer(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({**WORKS, "sleep": 1.5})
        await cage.work()
        await cage.begun()
        body = '{"error": {"message": "Slow\\u0007 down"}}'
        await cage.limits.take(refusal(429, pause="3600", body=body), 900)
        report = (await cage.ends("limited")).fields
        assert report["note"] == "usage limit of a parrot: HTTP 429: Slow� down"
        await cage.limits.take(ANSWER, 100)
        assert cage.limits.current is not None, "a title was made, with a shorter call"
        await cage.limits.take(ANSWER, 900)
        await cage.ends("done")
        # Its changed file is seen between the answer and the end, or not before the end.
        shown = [state for state in states(cage) if state != "implementing"]
        assert shown == ["idle", "exploring", "limited", "exploring", "done"] and len(cage.runs()) == 1

    play(scenario, usage_limit=RULES)


@pytest.mark.parametrize(
    ("answer", "is_shown"),
    [
        (refusal(429, pause="120"), True),
        (refusal(429, pause="5"), False),  # the program tries again by itself
        (refusal(429), False),
        (refusal(429, body="usage limit"), True),
        (refusal(403, body="usage limit"), True),
        (refusal(403, pause="120", body="forbidden"), False),
        (refusal(500, pause="120"), False),
        (HttpMessage(b"HTTP/1.1 429 No", {b"retry-after": b"120", b"x-aegis-refused": b"limit"}, b""), False),
        (refusal(429, pause="1e300"), True),
        (refusal(429, pause="nonsense", body="{"), False),
    ],
)
def test_which_refusals_are_a_usage_limit(play: Play, answer: HttpMessage, is_shown: bool) -> None:
    async def scenario(cage: Cage) -> None:
        await cage.limits.take(answer, 900)
        assert (cage.limits.current is not None) == is_shown

    play(scenario, usage_limit={**RULES, "shortest_wait_s": 60.0})


def test_an_interrupt_ends_the_wait_and_the_next_prompt_is_worked_on(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will(limited(3600), WORKS)
        await cage.work()
        await cage.ends("limited")
        cage.session.interrupt()
        await cage.times(2, "agent:report", state="idle")
        cage.session.person_says("Try another model.")
        await cage.ends("done")
        assert cage.runs()[1]["said"] == "Try another model."

    play(scenario, usage_limit=RULES)


def test_a_prompt_that_comes_meanwhile_waits_and_heartbeats_go_on(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will(limited(1.0), WORKS, {"write": {"src/a/new.py": "x = 2\n"}})
        await cage.work()
        await cage.ends("limited")
        count = len(cage.hub.of_type("heartbeat"))
        cage.session.person_says("Make it 2.")
        await asyncio.sleep(0.5)
        assert len(cage.runs()) == 1 and len(cage.hub.of_type("heartbeat")) > count
        await cage.times(2, "diff:submit")
        assert [item["said"] for item in cage.runs()[1:]] == [GO_ON, "Make it 2."]

    play(scenario, usage_limit=RULES)
