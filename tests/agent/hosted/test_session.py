"""The wrapper joins for a program, runs it for each prompt, and commits and submits what it did (AGENT-1, FLOW-7)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.agent.descendants import adopt_orphans
from aegis_tui.errors import UsageError
from tests.agent.conftest import git
from tests.agent.hosted.cage import ME, Cage, Play, add_hook, hook, running

WORKS = {"write": {"src/a/new.py": "x = 1\n"}}


def test_a_program_that_ends_well_has_its_work_committed_and_submitted(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will(
            {
                "write": {"src/a/new.py": "x = 1\n"},
                "print": [{"said": "I am on it"}, "no json", {"result": "feat(a): add new"}],
            }
        )
        await cage.work()
        submitted = (await cage.hub.wait_for("diff:submit")).fields
        done = await cage.ends("done")
        assert submitted["spec_id"] == "a" and submitted["base_oid"] == cage.base_oid
        assert git(cage.worktree, "log", "-1", "--format=%s", submitted["head_oid"]) == "feat(a): add new"
        assert git(cage.worktree, "show", "--name-only", "--format=", submitted["head_oid"]) == "src/a/new.py"
        assert "feat(a): add new" in done.fields["note"]
        assert done.fields["tokens"] == {"prompt": 100, "completion": 10, "cached": 50}
        assert "I am on it" in cage.screen and "no json" in cage.screen
        joined = await cage.hub.wait_for("agent:register")
        assert joined.fields["agent_type"] == "PARROT"

    play(scenario)


def test_the_first_prompt_has_context_rules_scope_and_brief_and_the_next_one_goes_on(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"write": {"src/a/new.py": "x = 1\n"}}, {"write": {"src/a/new.py": "x = 2\n"}})
        await cage.work("Add a.")
        await cage.ends("done")
        cage.session.person_says("Make it 2.")
        await cage.times(2, "diff:submit")
        first, second = cage.runs()
        for words in ("A shop.", "src/a/**", "mcp__aegis__acquire_lock", "Add a.", str(cage.worktree)):
            assert words in first["said"]
        assert first["argv"][0] == "--session" and second["argv"][0] == "--resume"
        assert first["argv"][1] == second["argv"][1]
        assert second["said"] == "Make it 2."

    play(scenario)


def test_a_program_that_cannot_go_on_gets_the_earlier_prompts_again_and_stdin_takes_any_length(play: Play) -> None:
    headless = {"argv": [sys.executable, "{home}/parrot.py", "--stdin"], "prompt": "stdin"}

    async def scenario(cage: Cage) -> None:
        cage.will({"write": {"src/a/new.py": "x = 1\n"}}, {"write": {"src/a/new.py": "x = 2\n"}})
        await cage.work("Add a. " + "ä" * 200_000)
        await cage.ends("done")
        cage.session.person_says("Make it 2.")
        await cage.times(2, "diff:submit")
        first, second = cage.runs()
        assert first["said"].count("ä") == 200_000
        assert second["said"].startswith(first["said"]) and second["said"].endswith("Make it 2.")

    play(scenario, headless=headless)


def test_the_token_reaches_the_program_by_its_environment_and_its_files_hold_what_they_name(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"write": {"src/a/new.py": "x = 1\n"}})
        await cage.work()
        await cage.ends("done")
        (run,) = cage.runs()
        assert run["key"] == "secret-token" and not any("secret-token" in word for word in run["argv"])
        config = cage.home / ".parrot" / "config.json"
        assert json.loads(config.read_text()) == {"url": "http://127.0.0.1:1/v1", "seed": [str(cage.worktree)]}
        assert config.stat().st_mode & 0o777 == 0o600

    play(scenario)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"code": 3, "print": ["no such model"]}, "ended with exit code 3:\nno such model"),
        ({"print": [{"is_error": True, "result": "API Error"}]}, "reports that it failed"),
    ],
)
def test_a_program_that_fails_fails_the_task_with_the_end_of_its_output(
    play: Play, step: dict[str, Any], words: str
) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will(step)
        await cage.work()
        failed = await cage.ends("failed")
        assert words in failed.fields["note"]
        assert failed.fields["cause"]["code"] == "agent.program"

    play(scenario)


def test_a_program_that_is_not_there_fails_the_task_with_how_to_install_it(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        await cage.work()
        failed = await cage.ends("failed")
        assert "cannot be started" in failed.fields["note"]

    play(scenario, headless={"argv": ["/no/such/parrot", "{prompt}"]})


def test_a_refused_submission_is_told_to_the_program_which_repairs_it(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"print": [{"said": "nothing to do"}]}, {"write": {"src/a/new.py": "x = 1\n"}})
        await cage.work()
        await cage.ends("done")
        first, second = cage.runs()
        assert "Add a." in first["said"]
        assert second["said"].startswith("Your work was not accepted: nothing was changed")

    play(scenario)


def test_a_hook_that_refuses_is_told_to_the_program_even_if_it_would_refuse_again(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        add_hook(cage.worktree, "if grep -q stray src/a/app.py; then echo 'no strays here' >&2; exit 1; fi")
        cage.will({"write": {"src/a/app.py": "stray = 1\n"}}, {"write": {"src/a/app.py": "good = 1\n"}})
        await cage.work()
        await cage.ends("done")
        _, second = cage.runs()
        assert "was not accepted" in second["said"] and "no strays here" in second["said"]

    play(scenario)


def test_after_a_refused_commit_only_new_files_stay_staged(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        add_hook(cage.worktree, "exit 1")
        cage.will({"write": {"src/a/app.py": "stray = 1\n", "src/a/new.py": "new = 1\n"}})
        await cage.work()
        await cage.ends("failed")
        assert git(cage.worktree, "diff", "--cached", "--name-only") == "src/a/new.py"
        assert git(cage.worktree, "diff", "--name-only") == "src/a/app.py"

    play(scenario)


def test_a_program_that_never_does_the_work_fails_after_a_few_attempts(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({})
        await cage.work()
        failed = await cage.ends("failed")
        assert "nothing was changed" in failed.fields["note"]
        assert len(cage.runs()) == 4

    play(scenario)


def test_a_joint_file_is_submitted_under_the_token_of_its_lock(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"write": {"src/routes.py": "ROUTES = [1]\n"}})
        await cage.work()
        await cage.ends("done")
        submitted = await cage.hub.wait_for("diff:submit")
        (lock,) = [event.data for event in cage.hub.events if event.type == "lock:acquired"]
        assert lock["path"] == "src/routes.py"
        assert submitted.fields["tokens"] == [lock["token"]]
        (told,) = cage.hub.of_type("broadcast")
        assert told.fields["event"] == "code:written"
        assert told.fields["data"] == {
            "file": "src/routes.py",
            "token": lock["token"],
            "base_oid": git(cage.worktree, "rev-parse", f"{cage.base_oid}:src/routes.py"),
            "new_oid": git(cage.worktree, "hash-object", "src/routes.py"),
        }

    play(scenario)


def test_what_a_program_leaves_running_ends_with_its_turn(play: Play, tmp_path: Path) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"write": {"src/a/new.py": "x = 1\n"}, "leave": str(tmp_path / "pid")})
        await cage.work()
        await cage.ends("done")
        pid = int((tmp_path / "pid").read_text())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    adopt_orphans()
    try:
        play(scenario)
    finally:
        adopt_orphans(does=False)


def test_a_prompt_is_delivered_when_the_program_gets_it_and_not_before(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({**WORKS, "sleep": 1.0}, {"write": {"src/a/new.py": "x = 2\n"}})
        await cage.work()
        await cage.begun()
        later = await cage.hub.prompt(ME, "Make it 2.")
        await asyncio.sleep(0.3)
        assert [dict(item.fields) for item in cage.hub.of_type("ack")] == [{"of": 1}]
        await cage.hub.wait_for("ack", of=later.seq)
        await cage.times(2, "diff:submit")
        assert cage.runs()[1]["said"] == "Make it 2."

    play(scenario)


def test_a_prompt_that_a_program_cannot_get_is_refused_with_the_reason(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        await cage.work()
        await cage.ends("failed")
        (answer,) = cage.hub.of_type("ack")
        assert answer.fields["delivery"] == "refused" and "cannot be started" in answer.fields["reason"]

    play(scenario, headless={"argv": ["/no/such/parrot", "{prompt}"]})


def test_what_happens_to_a_programs_files_meanwhile_waits_for_its_hook_or_its_next_prompt(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({**WORKS, "calls": [hook("Read", file_path="src/routes.py")], "sleep": 3.0})
        await cage.work()
        await cage.begun()
        await cage.knows("src/routes.py")
        note = await cage.hub.publish("message:sent", "NATIVE-w02", to=ME, text="the port is 8080", kind="note")
        for path in ("src/routes.py", "src/b/other.py"):
            await cage.hub.publish("code:written", "NATIVE-w02", file=path, token=9, new_oid="0")
        amendment = {"feature": "a", "suggestion": "use one port", "reason": "two clash"}
        for data in (amendment, {**amendment, "feature": "b"}):
            await cage.hub.publish("broadcast", "NATIVE-c01", event="plan:amendment", data=data)
        await cage.ends("done")
        assert [item.fields["of"] for item in cage.hub.of_type("ack")] == [1], "nobody has brought the note so far"
        cage.session.person_says("Go on.")
        await cage.times(2, "ack")
        assert cage.hub.of_type("ack")[1].fields["of"] == note.seq
        told = [
            "NATIVE-w02 says: the port is 8080",
            "NATIVE-w02 changed src/routes.py in its own worktree",
            "NATIVE-c01 suggests a change of the plan: use one port, because two clash",
        ]
        await cage.times(2, "agent:report", state="done")
        assert cage.runs()[1]["said"] == "\n- ".join(["Meanwhile:", *told]) + "\n\nGo on."

    play(scenario)


def reports(cage: Cage) -> list[Any]:
    return list(cage.hub.of_type("agent:report"))


def test_the_state_follows_what_the_program_does(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        calls = [hook("Bash"), hook("Read"), hook("Edit"), hook("Bash"), hook("Edit")]
        cage.will({**WORKS, "calls": calls, "sleep": 3.0})
        await cage.work()
        await cage.ends("done")
        states = [item.fields["state"] for item in cage.hub.of_type("agent:report")]
        assert states == ["idle", "exploring", "implementing", "self-QA", "implementing", "done"]
        known_by = [(item.fields.get("source"), item.fields.get("evidence")) for item in reports(cage)]
        edit, run = ("hook", "called its tool Edit"), ("hook", "called its tool Bash after a change")
        assert known_by == [(None, None), (None, None), edit, run, edit, (None, None)]

    play(scenario, tools={"writes": ["Edit"], "runs": ["Bash"]})


def test_without_hooks_a_changed_file_shows_that_the_program_implements(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({**WORKS, "sleep": 7.0})
        await cage.work()
        await cage.ends("implementing")
        await cage.ends("done")

    play(scenario)


def test_the_tools_that_its_output_names_count_too(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({**WORKS, "print": [{"tool": "edit"}, {"tool": "sh"}], "sleep": 3.0})
        await cage.work()
        await cage.ends("done")
        states = [item.fields["state"] for item in cage.hub.of_type("agent:report")]
        assert states == ["idle", "exploring", "implementing", "self-QA", "done"]
        assert [item.fields.get("source") for item in reports(cage)] == [None, None, "json", "json", None]

    output = {"format": "jsonl", "tools": ["tool"]}
    play(scenario, tools={"writes": ["edit"], "runs": ["sh"]}, output=output)


def test_an_interrupt_ends_the_program_and_the_next_prompt_goes_on(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"sleep": 60}, {"write": {"src/a/new.py": "x = 1\n"}})
        await cage.work()
        await cage.begun()
        cage.session.interrupt()
        await cage.times(2, "agent:report", state="idle")
        cage.session.person_says("Go on.")
        await cage.ends("done")
        assert len(cage.runs()) == 2

    play(scenario)


def test_a_kind_that_cannot_take_the_role_leaves_with_the_reason(worktree: Path) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(20), running(worktree, role="reviewer", mcp=""):
            raise AssertionError("it has started")

    with pytest.raises(UsageError, match="a parrot cannot be a reviewer"):
        asyncio.run(scenario())
