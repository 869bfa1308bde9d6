"""A message reaches a program between two tool calls, by its hook or through MCP, and only once (AGENT-6, PANE-4)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.agent.hosted.hear import TOOL_CALLS, hear_commands, listening_environment
from aegis_tui.agent.hosted.tool_calls import HookCall, ToolCallLog
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.locate import of_instance
from aegis_tui.sdk.notice_box import NOTICES, Notice, NoticeBox
from aegis_tui.sdk.tool_results import MessageList
from aegis_tui.sdk.tools import Tools
from tests.agent.hosted.test_guard import ME, Post, posted
from tests.workspace import Served


@dataclass
class Listener:
    """An instance of a hub that runs, the lines that wait for it, and what its program's hooks run."""

    post: Post
    environ: dict[str, str]
    box: NoticeBox

    def send(self, text: str) -> int:
        """Let another instance send a note, and put it into the box as the wrapper does; return its number."""
        seq = int(self.post.other.command("message:send", to=ME, text=text)["seq"])
        self.box.put(Notice(f"CLAUDE-backend says: {text}", seq))
        return seq

    def hook(self, name: str, event: str, more: str = "") -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", hear_commands(sys.executable)[name] + more],
            env=self.environ,
            input=json.dumps({"hook_event_name": event, "tool_name": "Edit", "tool_input": {"file_path": "a.py"}}),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0 and done.stderr == ""
        return done.stdout

    def waiting(self) -> list[int]:
        """The messages to the instance that the hub counts as not delivered."""
        return [item["seq"] for item in self.post.mine().command("message:read")["messages"]]

    def read(self, after: int = 0) -> MessageList:
        async def ask() -> MessageList:
            async with EnsembleClient(locate=of_instance(self.environ)) as client:
                return await Tools(client.command, lambda: client.agent_id, box=self.box).read_messages(after)

        return asyncio.run(ask())


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    served = Served()
    try:
        served.init({"a.py": "x = 1\n"})
        started = served.aegis("hub", "start")
        assert started.code == 0, started.err
        yield posted(served)
        served.aegis("hub", "stop")
        left = served.leftovers()
    finally:
        served.close()
    assert left == []


@pytest.fixture
def listener(post: Post, tmp_path: Path) -> Listener:
    for hub in (post.mine(), post.other):
        hub.command("heartbeat")
    environ = {**post.environ, **listening_environment(str(tmp_path))}
    return Listener(post, environ, NoticeBox(Path(environ[NOTICES])))


def test_a_hook_adds_the_lines_once_and_the_hub_learns_that_they_are_delivered(listener: Listener) -> None:
    seq = listener.send("the port is 8\u2028080")
    listener.box.put(Notice("CLAUDE-backend changed a.py in its own worktree"))
    assert listener.waiting() == [seq]
    said: dict[str, Any] = json.loads(listener.hook("hear", "PostToolUse"))["hookSpecificOutput"]
    assert said["hookEventName"] == "PostToolUse"
    lines = [
        "Meanwhile:",
        "- CLAUDE-backend says: the port is 8\u2028080",
        "- CLAUDE-backend changed a.py in its own worktree",
    ]
    assert said["additionalContext"].split("\n") == lines
    assert listener.waiting() == [] and listener.read().messages == []
    assert listener.hook("hear", "PostToolUse") == ""


def test_a_plugin_gets_the_text_alone(listener: Listener) -> None:
    listener.send("hello")
    assert listener.hook("hear", "PostToolUse", " plain") == "Meanwhile:\n- CLAUDE-backend says: hello"


def test_what_mcp_has_brought_the_hook_does_not_bring_again(listener: Listener) -> None:
    listener.send("one")
    listener.box.put(Notice("two"))
    page = listener.read()
    assert [message.text for message in page.messages] == ["one"] and page.notices == ["two"]
    assert listener.hook("hear", "PostToolUse") == ""
    assert listener.waiting() == []
    again = listener.read()
    assert again.messages == [] and again.notices == []


def test_a_hook_without_a_hub_still_brings_the_lines(listener: Listener) -> None:
    listener.box.put(Notice("late", 12345))
    listener.environ["AEGIS_HUB"] = "unix:/nowhere"
    assert "late" in listener.hook("hear", "UserPromptSubmit")


def test_each_tool_call_is_noted_and_nothing_is_printed(listener: Listener) -> None:
    assert listener.hook("noted", "PreToolUse") == listener.hook("noted", "UserPromptSubmit") == ""
    calls = ToolCallLog(Path(listener.environ[TOOL_CALLS])).read()
    assert calls == [HookCall("PreToolUse", "Edit", ("a.py",)), HookCall("UserPromptSubmit", "Edit", ("a.py",))]
    listener.environ[TOOL_CALLS] = "/nowhere/calls"
    assert listener.hook("noted", "PreToolUse") == ""
