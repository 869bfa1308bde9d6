from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.agent.role import load_role
from aegis_tui.domain.prompt import system_text
from aegis_tui.domain.tool.model import tool_schemas
from aegis_tui.testing.canned_llm import Canned, calls, says

Play = Callable[..., None]
ME, OTHER = "NATIVE-w01", "NATIVE-w02"
DONE = calls(("report", {"status": "done", "summary": "feat(a): add a"}))
BLOCKED = calls(("report", {"status": "blocked", "summary": "no"}))


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()


def test_the_first_request_has_what_all_share_first_and_what_is_its_own_last(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(calls(("report", {"status": "blocked", "summary": "no"})))
        await bench.hub.prompt(ME, "Do it.", task="implement", guidance="Mind the tests.")
        await bench.ends("blocked")
        request = bench.server.requests[0]
        assert request["model"] == "canned"
        role = load_role("worker")
        assert request["tools"] == tool_schemas(role.tools)
        assert request["messages"][0]["content"] == system_text("# Repository\n\nA shop.")
        opening = request["messages"][1]["content"]
        assert opening.startswith(
            f"{role.prompt.strip()}\n\nMind the tests.\n\n# Your task\n\nDo it.\n\n# Your scope\n"
        )
        assert opening.endswith(f"You are {ME}.\n")
        assert len(request["messages"]) == 2

    play(scenario)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"max_turns": 2}, "within 2 turns"), ({"max_minutes": 1e-9}, "within 1e-09 minutes"), ({}, "within 12 turns")],
)
def test_a_task_ends_at_the_limits_of_its_role(play: Play, limits: dict[str, Any], reason: str) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(*[calls(("read", {"path": "src/a/app.py"})) for _ in range(12)])
        await bench.work()
        assert reason in (await bench.ends("failed")).fields["note"]

    play(scenario, in_role=limits)


def test_the_model_of_a_role_goes_before_that_of_the_run(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(BLOCKED)
        await bench.work()
        await bench.ends("blocked")
        assert bench.server.requests[0]["model"] == "a-larger-one"

    play(scenario, in_role={"model": "a-larger-one"})


def test_wrong_calls_are_told_and_corrected(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(
            calls(("edit", '{"path": "src/a/app.py", "old": ')),
            calls(("patch", {"path": "x"})),
            calls(("edit", {"path": "src/a/app.py", "text": "x"})),
            calls(("edit", {"path": "src/a/app.py", "old": "'hi'", "new": "'yo'"})),
            DONE,
        )
        await bench.work()
        await bench.ends("done")
        results = bench.results()
        assert "not valid JSON" in results[0]
        assert "no tool 'patch'" in results[1]
        assert "old: Field required" in results[2]
        history = bench.server.requests[-1]["messages"]
        assert history[2]["tool_calls"][0]["function"]["arguments"] == "{}"

    play(scenario)


def test_too_many_wrong_calls_fail_the_task_honestly(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(*[calls(("read", "{"))] * 4)
        await bench.work()
        failed = await bench.ends("failed")
        assert "4 unusable calls in a row" in failed.fields["note"]
        assert not bench.hub.of_type("diff:submit")

    play(scenario)


def test_text_without_a_call_is_reminded_twice_and_then_fails(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(says("I will."), says("Soon."), says('<tool_call>{"name": "report"}</tool_call>'))
        await bench.work()
        failed = await bench.ends("failed")
        assert "3 times without calling a tool" in failed.fields["note"]
        assert "tool call parser" in failed.fields["note"]
        assert sum("call report" in text for text in bench.users()) == 2

    play(scenario)


def test_a_call_that_no_program_can_take_is_told_and_the_task_goes_on(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        nul = "a" + chr(0)
        bench.server.will(
            calls(("bash", {"command": nul}), ("search", {"pattern": nul}), ("read", {"path": nul})), BLOCKED
        )
        await bench.work()
        await bench.ends("blocked")
        assert all("contains a NUL character" in text for text in bench.results()[:3])

    play(scenario)


def test_an_error_inside_a_tool_is_told_and_the_task_goes_on(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: str, text: str) -> str:
        raise RuntimeError("no outline")

    async def scenario(bench: Any) -> None:
        bench.server.will(calls(("signatures", {"path": "src/a/app.py"})), BLOCKED)
        await bench.work()
        await bench.ends("blocked")
        assert "RuntimeError: no outline" in bench.results()[0]

    monkeypatch.setattr("aegis_tui.agent.reader.render_brief", fails)
    play(scenario)


def test_a_model_that_dies_in_its_reply_is_told_and_asked_again(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        edit = calls(("edit", {"path": "src/a/app.py", "old": "'hi'", "new": "'yo'"}))
        bench.server.will(says("I begin with", dies=True), Canned(edit.pieces[:5], dies=True), edit, DONE)
        await bench.work()
        await bench.ends("done")
        assert bench.server.requests[0]["messages"] == bench.server.requests[2]["messages"]
        assert "broke in the middle of a reply; asking again (1 of 3)" in bench.screen
        assert any("asking again" in (item.fields["note"] or "") for item in bench.hub.of_type("agent:report"))

    play(scenario)


def test_a_model_that_stays_away_fails_the_task_and_the_next_prompt_goes_on(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.server.will(Canned([], 503), Canned([b"{}"], 503))
        await bench.work()
        assert "503" in (await bench.ends("failed")).fields["note"]
        bench.server.will(calls(("write", {"path": "src/a/n.py", "content": ""})), DONE)
        await bench.work("Try again.")
        await bench.ends("done")
        assert bench.server.requests[-1]["messages"][1]["content"].endswith("Try again.")

    play(scenario)


def test_an_interrupt_ends_the_turn_and_not_the_program(worktree: Path, play: Play) -> None:
    async def scenario(bench: Any) -> None:
        marker = worktree / "src/a/started"
        bench.server.will(
            calls(("bash", {"command": f"touch {marker}; sleep 60"}), ("read", {"path": "src/routes.py"}))
        )
        await bench.work()
        await bench.until(marker.exists)
        bench.session.interrupt()
        await bench.until(lambda: bench.session.progress.state == "idle")
        assert "interrupted" in bench.results()[-1]
        bench.server.will(DONE)
        bench.session.person_says("Just report.")
        await bench.ends("done")
        assert bench.server.requests[-1]["messages"][-1] == {"role": "user", "content": "Just report."}
        assert bench.hub.of_type("diff:submit")[0].fields["spec_id"] == "a"

    play(scenario)


def test_a_server_that_knows_only_the_schemas_gets_a_task_done(worktree: Path, play: Play, other_server: str) -> None:
    async def scenario(bench: Any) -> None:
        await bench.work(
            "Write these.\nFILE src/a/one.py: ONE = 1\\nTWO = 2\\n\nFILE src/routes.py: ROUTES = ['one']\\n"
        )
        await bench.ends("done")
        assert git(worktree, "show", "HEAD:src/a/one.py") == "ONE = 1\nTWO = 2"
        assert git(worktree, "show", "HEAD:src/routes.py") == "ROUTES = ['one']"
        assert len(bench.hub.of_type("diff:submit")[0].fields["tokens"]) == 1

    play(scenario, base_url=other_server)


def test_a_server_that_knows_only_the_schemas_gives_a_verdict(play: Play, other_server: str) -> None:
    async def scenario(bench: Any) -> None:
        await bench.hub.prompt(ME, "Review.\nCRITERION works\nCRITERION tested", review_id="r", task="review")
        await bench.ends("done")
        criteria = bench.hub.of_type("review:verdict")[0].fields["criteria"]
        assert [item["id"] for item in criteria] == ["works", "tested"]
        assert all(item["pass"] for item in criteria)

    play(scenario, role="reviewer", base_url=other_server)


@pytest.mark.parametrize("other_server", ["object", "twice", "marks", "numbers-as-text", "text", "body"], indirect=True)
def test_a_server_with_a_way_of_its_own_gets_a_task_done(worktree: Path, play: Play, other_server: str) -> None:
    async def scenario(bench: Any) -> None:
        await bench.work("Write this.\nFILE src/a/one.py: ONE = '\u2028'\\n")
        await bench.ends("done")
        assert git(worktree, "show", "HEAD:src/a/one.py") == "ONE = '\u2028'"

    play(scenario, base_url=other_server)
