from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aegis_tui.errors import HubUnavailable, Refused, StoreError
from aegis_tui.testing.canned_llm import Canned, calls
from aegis_tui.testing.memory_hub import MemoryHub

Play = Callable[..., None]
ME, OTHER = "NATIVE-w01", "NATIVE-w02"


def committed_files(worktree: Path) -> list[str]:
    argv = ["git", "show", "--name-only", "--format=", "HEAD"]
    return subprocess.run(argv, cwd=worktree, check=True, capture_output=True, text=True).stdout.splitlines()


def test_every_message_is_acknowledged_once_taken_and_foreign_ones_are_not(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        hold = asyncio.Event()
        bench.server.will(Canned(calls(("read", {"path": "src/routes.py"})).pieces, hold=hold))
        bench.server.will(calls(("report", {"status": "blocked", "summary": "x"})))
        prompt = await bench.hub.prompt("w01", "Start.", spec_id="a")
        foreign = await bench.hub.prompt(OTHER, "Not for you.")
        note = await bench.hub.publish("message:sent", OTHER, to=ME, text="I renamed\x1b[2J it", kind="note")
        more = await bench.hub.prompt(ME, "Use tabs.")
        for event in (prompt, note, more):
            await bench.hub.wait_for("ack", of=event.seq)
        hold.set()
        await bench.ends("blocked")
        assert foreign.seq not in [item.fields["of"] for item in bench.hub.of_type("ack")]
        assert f"{OTHER} says: I renamed" in bench.users()[-1]
        assert "Use tabs." in bench.users()[-1]
        assert "Not for you." not in "".join(bench.users())
        assert "\x1b[2J" not in bench.screen

    play(scenario)


def test_a_write_to_a_file_that_a_read_file_imports_is_told(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        (bench.worktree / "money.py").write_text("def rounded(sum): return sum\n")
        (bench.worktree / "cart.py").write_text("from money import rounded\n")
        hold = asyncio.Event()
        bench.server.will(calls(("read", {"path": "cart.py"})))
        bench.server.will(Canned(calls(("read", {"path": "cart.py", "start": 1, "end": 1})).pieces, hold=hold))
        bench.server.will(calls(("report", {"status": "blocked", "summary": "x"})))
        await bench.work()
        await bench.until(lambda: len(bench.server.requests) == 2)
        await bench.hub.publish("code:written", OTHER, file="money.py", token=1, new_oid="0")
        await bench.hub.publish("code:written", OTHER, file="src/routes.py", token=2, new_oid="0")
        last = await bench.hub.publish("message:sent", OTHER, to=ME, text="Written.", kind="note")
        await bench.hub.wait_for("ack", of=last.seq)
        hold.set()
        await bench.ends("blocked")
        told = bench.users()[-1]
        assert f"{OTHER} changed money.py in its own worktree; cart.py imports rounded from it" in told
        assert "routes.py" not in told

    play(scenario)


def test_a_prompt_for_another_piece_waits_for_the_end_of_this_one(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        hold = asyncio.Event()
        bench.server.will(Canned(calls(("read", {"path": "src/routes.py"})).pieces, hold=hold))
        bench.server.will(calls(("report", {"status": "blocked", "summary": "first"})))
        bench.server.will(calls(("report", {"status": "failed", "summary": "second"})))
        await bench.work("First.")
        second = await bench.hub.prompt(ME, "Second.", spec_id="b")
        await bench.hub.wait_for("ack", of=second.seq)
        hold.set()
        await bench.ends("blocked")
        assert (await bench.ends("failed")).fields["note"] == "second"
        assert "Second." not in str(bench.server.requests[1])

    play(scenario)


def test_a_halted_run_starts_no_turn_until_it_is_resumed(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.hub.publish("run:halted", "person")
        await bench.heard()
        bench.server.will(calls(("report", {"status": "blocked", "summary": "x"})))
        await bench.work()
        await bench.ends("waiting")
        assert not bench.server.requests
        await bench.hub.publish("run:resumed", "person")
        await bench.ends("blocked")

    play(scenario)


def test_the_instance_joins_beats_and_leaves(play: Play) -> None:
    kept: list[MemoryHub] = []

    async def scenario(bench: Any) -> None:
        kept.append(bench.hub)
        await bench.hub.wait_for("heartbeat")

    play(scenario)
    types = [item.type for item in kept[0].recorded]
    assert types[:2] == ["context:get", "agent:register"]
    assert kept[0].recorded[1].fields == {"agent_type": "NATIVE", "instance_id": "w01", "role": "worker"}
    assert kept[0].recorded[-1].type == "agent:leave"
    assert kept[0].recorded[-1].fields == {"reason": "test over"}


def test_an_unknown_session_is_joined_again(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.hub.refuse_next("heartbeat", Refused("no such session"))
        await bench.until(lambda: len(bench.hub.of_type("agent:register")) == 2)

    play(scenario)


def test_a_message_that_was_sent_before_the_instance_listened_is_taken(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(calls(("report", {"status": "blocked", "summary": "x"})))
        await bench.ends("blocked")
        await bench.hub.wait_for("ack", of=1)

    play(scenario, waiting="Early.")


def test_an_acknowledgement_that_the_hub_did_not_hear_is_said_again(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.hub.refuse_next("ack", HubUnavailable("the hub is away"))
        bench.server.will(calls(("report", {"status": "blocked", "summary": "x"})))
        await bench.work()
        await bench.until(lambda: len(bench.hub.of_type("ack")) == 2)

    play(scenario)


def test_a_failure_that_the_hub_could_not_log_is_told_again(play: Play) -> None:
    """A full disk takes no report; once it does, nobody waits for an instance that has long failed (FLOW-6)."""

    async def scenario(bench: Any) -> None:
        bench.server.will(calls(("report", {"status": "blocked", "summary": "x"})))
        for _ in range(200):
            bench.hub.refuse_next("agent:report", StoreError("the disk is full"))
        await bench.work()
        await bench.until(
            lambda: [item.fields["state"] for item in bench.hub.of_type("agent:report")][-2:] == ["blocked"] * 2
        )
        assert "the hub did not accept a report: the disk is full" in bench.screen

    play(scenario)


def test_an_instance_that_the_hub_no_longer_takes_ends_itself(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.hub.refuse_next("agent:register", Refused("w01 is gone"))
        bench.hub.refuse_next("heartbeat", Refused("no such session"))
        await bench.hub.wait_for("agent:leave", reason="the hub no longer knows this instance")

    play(scenario)


def test_an_instance_that_may_be_without_a_hub_for_less_than_a_beat_goes_on_with_it(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.until(lambda: len(bench.hub.of_type("heartbeat")) >= 6)
        assert bench.hub.of_type("agent:leave") == [] and "this agent ends" not in bench.screen

    play(scenario, orphan_s=1.0, beat_s=5.0)


def test_an_instance_whose_hub_stays_away_saves_its_work_and_ends(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        (bench.worktree / "src" / "a").mkdir(parents=True, exist_ok=True)
        (bench.worktree / "src" / "a" / "half.py").write_text("half = 1\n")
        for _ in range(500):
            bench.hub.refuse_next("heartbeat", HubUnavailable("the hub is away"))
        await bench.hub.wait_for("agent:leave", reason="the hub did not answer for 1 s")
        assert "src/a/half.py" in committed_files(bench.worktree)
        assert "the changes are in commit" in bench.screen

    play(scenario, orphan_s=1.0)
