"""A program that is driven over ACP gets its prompts, and its work is submitted, whatever it sends (AGENT-3)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from aegis_tui.agent.hosted import acp_runner
from aegis_tui.agent.hosted.acp_runner import AcpRunner
from tests.agent.conftest import git
from tests.agent.hosted.cage import ME, Cage, Play

PROGRAM = (Path(__file__).parent / "acp_parrot.py").read_text("utf-8")
WORKS = {"write": {"src/a/new.py": "x = 1\n"}}


def driven(*, is_boxed: bool = True, setup: dict[str, Any] | None = None, **acp: Any) -> dict[str, Any]:
    """The options of a cage whose kind speaks ACP."""
    files = [{"path": "acp.py", "text": PROGRAM}, {"path": "setup.json", "text": json.dumps(setup or {})}]
    mode = {"argv": [sys.executable, "{home}/acp.py"], "boxed": "yolo", "open": "plan", **acp}
    return {"make_runner": partial(AcpRunner, is_boxed=is_boxed), "files": files, "acp": mode, "mcp": ""}


def say(text: str) -> dict[str, Any]:
    return {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}


def asked(cage: Cage, method: str) -> list[dict[str, Any]]:
    return [item["params"] for item in cage.runs() if item.get("method") == method]


def said(cage: Cage) -> list[str]:
    return [item["said"] for item in cage.runs() if item.get("method") == "session/prompt"]


async def until(cage: Cage, method: str) -> None:
    while True:
        if any(item.get("method") == method for item in cage.runs()):
            return
        await asyncio.sleep(0.01)


def test_a_prompt_is_worked_on_shown_committed_and_submitted(play: Play) -> None:
    edit = {"sessionUpdate": "tool_call", "toolCallId": "1", "title": "Write new.py", "kind": "edit"}
    diff = {"type": "diff", "path": "src/a/new.py", "oldText": None, "newText": "x = 1\n"}
    updates = [
        {"sessionUpdate": "plan", "entries": [{"content": "write it", "status": "completed"}, {"content": "look"}]},
        {**edit, "status": "pending"},
        {"sessionUpdate": "tool_call_update", "toolCallId": "1", "status": "completed", "content": [diff]},
        {"sessionUpdate": "usage_update", "used": 500, "size": 1000},
        say("feat(a): add "),
        say("new\n"),
    ]

    async def scenario(cage: Cage) -> None:
        cage.will({**WORKS, "updates": updates})
        seq = (await cage.hub.prompt(ME, "Add a.", spec_id="a", base_oid=cage.base_oid, task="implement")).seq
        submitted = (await cage.hub.wait_for("diff:submit")).fields
        await cage.ends("done")
        assert git(cage.worktree, "log", "-1", "--format=%s", submitted["head_oid"]) == "feat(a): add new"
        (about,) = asked(cage, "initialize")
        assert about["protocolVersion"] == 1 and not any(about["clientCapabilities"]["fs"].values())
        (new,) = asked(cage, "session/new")
        assert new == {"cwd": str(cage.worktree), "mcpServers": []}
        assert asked(cage, "session/set_mode") == [{"sessionId": "s-1", "modeId": "yolo"}]
        assert "Add a." in said(cage)[0] and "src/a/**" in said(cage)[0]
        assert "src/a/new.py" in cage.session.activity.touched
        for words in ("Plan 1 of 2 steps done", "[x] write it", "Editing Write new.py", "+x = 1", "50%", "Mode yolo"):
            assert words in cage.screen, words
        acks = [item.fields for item in cage.hub.of_type("ack") if item.fields["of"] == seq]
        assert acks and "delivery" not in acks[0], "delivered"

    play(scenario, **driven())


def test_the_state_is_known_from_its_tool_calls(play: Play) -> None:
    edit = {"sessionUpdate": "tool_call", "toolCallId": "1", "title": "Edit", "kind": "edit"}

    async def scenario(cage: Cage) -> None:
        cage.will({"updates": [edit], "hang": True})
        await cage.work()
        report = await cage.hub.wait_for("agent:report", state="implementing")
        assert report.fields["source"] == "acp" and "Edit" in report.fields["evidence"]
        cage.session.interrupt()

    play(scenario, **driven())


def test_the_next_prompt_goes_to_the_same_session(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will(WORKS, {"write": {"src/a/new.py": "x = 2\n"}})
        await cage.work()
        await cage.ends("done")
        cage.session.person_says("Make it 2.")
        await cage.times(2, "diff:submit")
        assert said(cage)[1] == "Make it 2." and len(asked(cage, "session/new")) == 1

    play(scenario, **driven())


@pytest.mark.parametrize("can_load", [True, False])
def test_a_program_that_died_is_started_again_with_its_conversation_or_the_earlier_prompts(
    play: Play, can_load: bool
) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"die": 3}, {**WORKS, "updates": [say("feat(a): go on")]})
        await cage.work("Add a.")
        failed = await cage.ends("failed")
        assert "ended with exit code 3:\nout of memory" in failed.fields["note"]
        cage.session.person_says("Go on.")
        await cage.hub.wait_for("diff:submit")
        first, second = said(cage)
        assert second == ("Go on." if can_load else f"{first}\n\n---\n\nGo on.")
        assert len(asked(cage, "session/new")) == (1 if can_load else 2)
        assert "REPLAYED" not in cage.screen

    play(scenario, **driven(setup={"load": True} if can_load else {}))


def test_an_interrupted_turn_is_cancelled_and_the_program_goes_on_with_the_next(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"hang": True}, WORKS)
        await cage.work()
        await until(cage, "session/prompt")
        cage.session.interrupt()
        await until(cage, "session/cancel")
        cage.session.person_says("Go on.")
        await cage.hub.wait_for("diff:submit")
        assert said(cage)[1] == "Go on." and len(asked(cage, "session/new")) == 1

    play(scenario, **driven())


def test_a_program_that_forgets_a_cancelled_prompt_gets_it_again_once(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"hang": True}, WORKS, {"write": {"src/a/new.py": "x = 2\n"}})
        await cage.work()
        await until(cage, "session/prompt")
        cage.session.interrupt()
        await until(cage, "session/cancel")
        cage.session.person_says("Go on.")
        await cage.hub.wait_for("diff:submit")
        cage.session.person_says("Make it 2.")
        await cage.times(2, "diff:submit")
        first, second, third = said(cage)
        assert second == f"{first}\n\n---\n\nGo on." and third == "Make it 2."

    play(scenario, **driven(forgets_interrupted=True))


def test_a_program_that_does_not_hear_the_cancellation_is_ended(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acp_runner, "_CANCEL_S", 0.2)

    async def scenario(cage: Cage) -> None:
        cage.will({"hang": "deaf"}, WORKS)
        await cage.work()
        await until(cage, "session/prompt")
        pid = next(item["pid"] for item in cage.runs() if "pid" in item)
        cage.session.interrupt()
        cage.session.person_says("Go on.")
        await cage.hub.wait_for("diff:submit")
        assert not psutil.pid_exists(pid) and len(asked(cage, "session/new")) == 2

    play(scenario, **driven())


ODD = [
    "Update available!",
    "{",
    "[" * 5000,
    '{"method": "session/update", "params": [1]}',
    {"method": "session/update", "params": {"sessionId": "s-1", "update": None}},
    {"method": "session/update", "params": {"sessionId": "s-1", "update": {"sessionUpdate": "tomorrow", "x": 1}}},
    {"method": "session/update", "params": {"sessionId": "other", "update": say("OTHER SESSION")}},
    {"method": "x/notify", "params": {}},
    {"id": 900, "method": "fs/write_text_file", "params": {"path": "/etc/passwd", "content": "x"}},
    {"id": 4711, "result": {}},
    {"method": "session/update", "params": {"update": {"sessionUpdate": "usage_update", "used": 1, "size": 0}}},
    {"method": "session/update", "params": {"update": say("\x1b[2J\u202eevil \ud800")}},
    {"method": "session/update", "params": {"update": say("y" * 17_000_000)}},
]


def test_whatever_it_sends_the_task_is_done_and_shown_inert(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({**WORKS, "send": ODD, "updates": [say("\nfeat(a): add new")]})
        await cage.work()
        await cage.ends("done")
        assert "\x1b" not in cage.screen and "\u202e" not in cage.screen and "evil" in cage.screen
        assert "OTHER SESSION" not in cage.screen and len(cage.screen) < 100_000

    play(scenario, **driven(setup={"noise": ODD[:4]}))


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"stop": "refusal"}, "its model refused to go on"),
        ({"stop": "max_tokens"}, "the limit of tokens"),
        ({"stop": None}, "it stopped: None"),
        ({"error": {"code": -32603, "message": "Internal error", "data": {"details": "no model"}}}, "no model"),
        ({"close": True}, "ended with exit code"),
    ],
)
def test_a_turn_that_does_not_end_well_fails_the_task(play: Play, step: dict[str, Any], words: str) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will(step)
        await cage.work()
        failed = await cage.ends("failed")
        assert words in failed.fields["note"] and failed.fields["cause"]["code"] == "agent.program"

    play(scenario, **driven())


NAMELESS = {"category": "mode", "options": [{"value": "yolo"}]}


@pytest.mark.parametrize(
    ("setup", "acp", "words"),
    [
        ({"answers": {"initialize": {"protocolVersion": 2}}}, {}, "speaks version 2 of ACP"),
        ({"answers": {"initialize": [1]}}, {}, "speaks version None of ACP"),
        ({"answers": {"session/new": {"sessionId": 5}}}, {}, "a session without an id"),
        ({"answers": {"session/new": None}}, {}, "unknown"),
        (
            {"answers": {"session/new": {"sessionId": "\ud800", "configOptions": [NAMELESS]}}},
            {},
            "does not offer the mode yolo",
        ),
        ({"answers": {"authenticate": None}}, {"login": "key"}, "unknown"),
        ({}, {"boxed": "turbo"}, "does not offer the mode turbo; it offers: plan, yolo"),
        ({}, {"argv": [sys.executable, "-c", "import sys; sys.exit('no licence')"]}, "no licence"),
        ({}, {"argv": ["/no/such/program"]}, "cannot be started"),
        ({}, {"programs": ["no-such-adapter"], "install": "npm i it"}, "no-such-adapter is not installed"),
    ],
)
def test_a_session_that_does_not_begin_fails_the_task_and_the_prompt_is_refused(
    play: Play, setup: dict[str, Any], acp: dict[str, Any], words: str
) -> None:
    async def scenario(cage: Cage) -> None:
        await cage.work()
        failed = await cage.ends("failed")
        assert words in failed.fields["note"]
        assert (await cage.hub.wait_for("ack", delivery="refused")).fields["reason"]

    play(scenario, **driven(setup=setup, **acp))


def test_a_mode_among_the_options_is_set_there(play: Play) -> None:
    groups = [{"options": [{"value": "yolo"}]}]
    new = {"sessionId": "s-1", "configOptions": ["x", {"id": "m", "category": "mode", "options": groups}]}

    async def scenario(cage: Cage) -> None:
        cage.will(WORKS)
        await cage.work()
        await cage.ends("done")
        assert asked(cage, "session/new")[0]["_meta"] == {"settings": f"{cage.home}/s.json"}
        assert asked(cage, "session/set_config_option") == [{"sessionId": "s-1", "configId": "m", "value": "yolo"}]

    play(scenario, **driven(setup={"answers": {"session/new": new}}, meta={"settings": "{home}/s.json"}))


QUESTION = {
    "sessionId": "s-1",
    "toolCall": {"toolCallId": "1", "title": "Run\x1b[2J make"},
    "options": [
        {"optionId": "no", "name": "Reject", "kind": "reject_once"},
        {"optionId": "ever", "name": "Always", "kind": "allow_always"},
        {"optionId": "once", "name": "Allow", "kind": "allow_once"},
    ],
}


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        (QUESTION["options"], {"outcome": "selected", "optionId": "once"}),
        ([], {"outcome": "cancelled"}),
        ([{"optionId": "no", "kind": "reject_once"}, 4, {"kind": "allow_once"}], {"outcome": "cancelled"}),
    ],
)
def test_in_the_sandbox_each_call_is_allowed_once(play: Play, options: Any, outcome: dict[str, str]) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({**WORKS, "ask": {**QUESTION, "options": options}})
        await cage.work()
        await cage.ends("done")
        (answer,) = [item["answer"] for item in cage.runs() if "answer" in item]
        assert answer["result"] == {"outcome": outcome} and answer["id"] == "ask"

    play(scenario, **driven())


def test_without_a_sandbox_a_person_is_asked_and_answers_in_the_pane(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({**WORKS, "ask": QUESTION})
        await cage.work()
        asking = await cage.hub.wait_for("agent:report", state="asking")
        assert asking.fields["source"] == "acp" and "make" in asking.fields["note"]
        assert "1. Reject" in cage.screen and "3. Allow" in cage.screen and "\x1b" not in cage.screen
        cage.session.person_says("3")
        await cage.ends("done")
        (answer,) = [item["answer"] for item in cage.runs() if "answer" in item]
        assert answer["result"] == {"outcome": {"outcome": "selected", "optionId": "once"}}
        assert asked(cage, "session/set_mode") == [{"sessionId": "s-1", "modeId": "plan"}]

    play(scenario, **driven(is_boxed=False))


def test_a_message_of_a_person_answers_and_one_of_an_agent_does_not(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({**WORKS, "ask": QUESTION})
        await cage.work()
        await cage.hub.wait_for("agent:report", state="asking")
        for sender, text in (("NATIVE-w02", "3"), ("person", "2")):
            sent = await cage.hub.publish("message:sent", sender, to=ME, text=text, kind="prompt", context={})
        await cage.ends("done")
        (answer,) = [item["answer"] for item in cage.runs() if "answer" in item]
        assert answer["result"] == {"outcome": {"outcome": "selected", "optionId": "ever"}}
        await cage.times(1, "ack", of=sent.seq)

    play(scenario, **driven(is_boxed=False))


def test_an_interruption_withdraws_the_question(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({"ask": QUESTION, "stop": "cancelled"}, WORKS)
        await cage.work()
        await cage.hub.wait_for("agent:report", state="asking")
        cage.session.interrupt()
        cage.session.person_says("Go on.")
        await cage.hub.wait_for("diff:submit")
        (answer,) = [item["answer"] for item in cage.runs() if "answer" in item]
        assert answer["result"] == {"outcome": {"outcome": "cancelled"}}
        assert any(item.get("method") == "session/cancel" for item in cage.runs())

    play(scenario, **driven(is_boxed=False))


def test_what_it_started_ends_with_it(play: Play) -> None:
    async def scenario(cage: Cage) -> None:
        cage.will({**WORKS, "leave": True})
        await cage.work()
        await cage.ends("done")

    play(scenario, **driven())
    left = [item for item in psutil.Process(os.getpid()).children(recursive=True) if "sleep" in item.name()]
    assert left == []
