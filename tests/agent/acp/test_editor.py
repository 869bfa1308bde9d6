"""The built-in agent works for an editor over ACP, on a real hub and a model with prepared answers (AGENT-3)."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.agent.acp.peer import AcpError, Peer
from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubQuick
from aegis_tui.testing.canned_llm import Canned, CannedModel, calls, says

ME = "NATIVE-editor"


@dataclass
class Editor:
    """An editor that has started the agent, and what it was sent."""

    worktree: Path
    hub: HubQuick
    model: CannedModel
    process: asyncio.subprocess.Process
    peer: Peer
    updates: list[dict[str, Any]] = field(default_factory=list)
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    answer: str = "once"
    session: str = ""

    async def begin(self) -> None:
        about = await self.peer.request("initialize", {"protocolVersion": 1, "clientCapabilities": {}})
        assert about["protocolVersion"] == 1 and about["agentInfo"]["name"] == "aegis-tui"
        self.session = await self.new()

    async def new(self) -> str:
        new = await self.peer.request("session/new", {"cwd": str(self.worktree), "mcpServers": []})
        return str(new["sessionId"])

    async def says(self, *blocks: str | dict[str, Any]) -> Any:
        prompt = [{"type": "text", "text": item} if isinstance(item, str) else item for item in blocks]
        return await self.peer.request("session/prompt", {"sessionId": self.session, "prompt": prompt})

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [item for item in self.updates if item["sessionUpdate"] == kind]

    @property
    def text(self) -> str:
        return "".join(item["content"]["text"] for item in self.of_kind("agent_message_chunk"))

    @property
    def titles(self) -> list[str]:
        return [item["title"] for item in self.of_kind("tool_call")]

    async def permit(self, method: str, params: Mapping[str, Any]) -> Any:
        assert method == "session/request_permission"
        self.asked.append(params)
        return {"outcome": {"outcome": "selected", "optionId": self.answer}}

    def note(self, method: str, params: Mapping[str, Any]) -> None:
        assert method == "session/update" and params["sessionId"] in (self.session, "")
        self.updates.append(params["update"])


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[WorkspacePaths]:
    """The folders of a workspace; the runtime folder is short, for the sockets."""
    runtime = Path(tempfile.mkdtemp(prefix="ag", dir="/tmp"))
    yield WorkspacePaths("0123456789ab", tmp_path / "state", runtime / "k")
    shutil.rmtree(runtime)


@asynccontextmanager
async def started(paths: WorkspacePaths, worktree: Path) -> AsyncIterator[Editor]:
    async with open_hub(paths, port=0) as (address, _), CannedModel(socket=paths.runtime_dir / "m.sock") as model:
        hub = HubQuick(address)
        joined = await asyncio.to_thread(
            hub.command, "agent:register", agent_type="NATIVE", instance_id="editor", partition=["src/a/**"]
        )
        given = {"AEGIS_INSTANCE": "editor", "AEGIS_HUB": f"unix:{address.socket}"}
        given |= {"AEGIS_TOKEN_FILE": str(joined["token_file"]), "OPENAI_BASE_URL": model.base_url}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "aegis_tui.agent", "--acp"),
            cwd=worktree,
            env={**os.environ, **given},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 24,
        )
        assert process.stdin and process.stdout
        editor: Editor

        async def permit(method: str, params: Mapping[str, Any]) -> Any:
            return await editor.permit(method, params)

        peer = Peer(process.stdout, process.stdin, on_request=permit, on_notice=lambda *said: editor.note(*said))
        editor = Editor(worktree, hub, model, process, peer)
        serving = asyncio.create_task(peer.run())
        try:
            yield editor
            peer.close()
            assert await process.wait() == 0, "it ends with its editor"
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await serving


Play = Callable[[Callable[[Editor], Awaitable[None]]], None]


@pytest.fixture
def play(paths: WorkspacePaths, worktree: Path) -> Play:
    """Runs a scenario, a coroutine function of an `Editor`."""

    def run(scenario: Callable[[Editor], Awaitable[None]]) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(40), started(paths, worktree) as editor:
                await scenario(editor)

        asyncio.run(bounded())

    return run


def test_it_edits_inside_its_partition_shows_the_steps_and_answers_in_words(play: Play) -> None:
    async def scenario(at: Editor) -> None:
        await at.begin()
        at.model.will(
            calls(("write", {"path": "src/a/n.py", "content": "N = 1\n"}), text="I write it."),
            calls(("write", {"path": "other.py", "content": "N = 1\n"})),
            says("Done: N is 1."),
        )
        link = {"type": "resource_link", "uri": "file:///x.py", "name": "x"}
        held = {"type": "resource", "resource": {"uri": "file:///y.py", "text": "y = 2"}}
        assert await at.says("Write n.", link, held, {"type": "image"}) == {"stopReason": "end_turn"}
        assert (at.worktree / "src/a/n.py").read_text() == "N = 1\n" and not (at.worktree / "other.py").exists()
        said = at.model.requests[0]["messages"][-1]["content"]
        assert "Write n. file:///x.py" in said and "y = 2" in said and "src/a/**" in said
        offered = {item["function"]["name"] for item in at.model.requests[0]["tools"]}
        assert "edit" in offered and not offered & {"report", "verdict", "propose_design"}
        assert "I write it." in at.text and at.text.rstrip().endswith("Done: N is 1.")
        assert at.titles == ["Writing src/a/n.py", "Writing other.py"]
        diffs = [part for item in at.of_kind("tool_call_update") for part in item.get("content", ())]
        place = str(at.worktree / "src/a/n.py")
        assert {"type": "diff", "path": place, "oldText": "", "newText": "N = 1\n"} in diffs
        ends = [item["status"] for item in at.of_kind("tool_call_update") if "status" in item]
        assert ends == ["completed", "failed"] and at.asked == []

    play(scenario)


def test_the_person_is_asked_before_each_command(play: Play) -> None:
    async def scenario(at: Editor) -> None:
        await at.begin()
        run = calls(("bash", {"command": "echo ran >> src/a/log"}))
        at.answer = "no"
        at.model.will(run, says("Then not."))
        await at.says("Run it.")
        assert at.asked[0]["toolCall"]["title"] == "echo ran >> src/a/log" and not (at.worktree / "src/a/log").exists()
        assert "did not allow" in at.model.requests[-1]["messages"][-1]["content"]
        at.answer = "once"
        at.model.will(run, says("It ran."))
        await at.says("Run it.")
        at.answer = "always"
        at.model.will(run, run, says("It ran twice."))
        await at.says("Run it twice.")
        assert (at.worktree / "src/a/log").read_text() == "ran\n" * 3 and len(at.asked) == 3
        at.session = await at.new()
        at.answer = "no"
        at.model.will(run, says("Then not."))
        await at.says("Run it.")
        assert len(at.asked) == 4, "another session asks again"

    play(scenario)


def test_commands_of_other_prompts_are_asked_about_although_all_of_the_session_are_allowed(play: Play) -> None:
    async def scenario(at: Editor) -> None:
        await at.begin()
        run = calls(("bash", {"command": "echo ran >> src/a/log"}))
        at.answer = "always"
        at.model.will(run, says("It ran."))
        await at.says("Run it.")
        at.model.will(run, says("Then not."))
        await asyncio.to_thread(at.hub.command, "instance:send", agent_id=ME, text="Run it too.")
        while "Then not." not in at.text:  # noqa: ASYNC110  # the updates come from another process
            await asyncio.sleep(0.01)
        assert (at.worktree / "src/a/log").read_text() == "ran\n"
        assert [[option["optionId"] for option in item["options"]] for item in at.asked] == [
            ["once", "always", "no"],
            ["once", "no"],
        ]
        at.model.will(run, says("It ran again."))
        await at.says("Run it again.")
        assert (at.worktree / "src/a/log").read_text() == "ran\n" * 2 and len(at.asked) == 2

    play(scenario)


def test_a_turn_can_be_cancelled_and_the_conversation_goes_on(play: Play) -> None:
    async def scenario(at: Editor) -> None:
        await at.begin()
        hold = asyncio.Event()
        at.model.will(says("I think about it.", hold=hold))
        turn = asyncio.create_task(at.says("First."))
        while "think" not in at.text:  # noqa: ASYNC110  # the updates come from another process
            await asyncio.sleep(0.01)
        with pytest.raises(AcpError, match="works on a prompt already"):
            await at.says("Second.")
        await at.peer.notify("session/cancel", {"sessionId": at.session})
        assert await turn == {"stopReason": "cancelled"}
        hold.set()
        at.model.will(says("Yes."))
        assert await at.says("Third.") == {"stopReason": "end_turn"}
        texts = str(at.model.requests[-1]["messages"])
        assert "First." in texts and "Third." in texts
        at.session = await at.new()
        at.model.will(says("Hello."))
        await at.says("Fourth.")
        assert "First." not in str(at.model.requests[-1]["messages"]), "a new session begins a new conversation"

    play(scenario)


def test_wrong_requests_are_refused_and_an_error_of_the_model_is_told(play: Play) -> None:
    async def scenario(at: Editor) -> None:
        with pytest.raises(AcpError, match="no such session"):
            await at.says("Hello.")
        with pytest.raises(AcpError, match="start it in the folder"):
            await at.peer.request("session/new", {"cwd": "/", "mcpServers": []})
        with pytest.raises(AcpError, match="no such method"):
            await at.peer.request("session/fork", {})
        await at.begin()
        with pytest.raises(AcpError, match="no text"):
            await at.says({"type": "image"})
        wrong = Canned([b'{"error": {"message": "no such tool"}}'], status=404)
        at.model.will(wrong, wrong)
        with pytest.raises(AcpError, match="no such tool"):
            await at.says("Hello.")
        at.model.answers.clear()
        at.model.will(says("Here."))
        assert await at.says("Again.") == {"stopReason": "end_turn"}

    play(scenario)


def test_a_prompt_by_the_hub_is_shown_too(play: Play) -> None:
    async def scenario(at: Editor) -> None:
        await at.begin()
        at.model.will(says("I heard."))
        await asyncio.to_thread(at.hub.command, "instance:send", agent_id=ME, text="Look at this.")
        while "I heard." not in at.text:  # noqa: ASYNC110  # the updates come from another process
            await asyncio.sleep(0.01)
        assert "Look at this." in at.text

    play(scenario)


def test_a_session_does_not_begin_in_the_middle_of_a_prompt_by_the_hub(play: Play) -> None:
    async def scenario(at: Editor) -> None:
        await at.begin()
        hold = asyncio.Event()
        at.model.will(says("I think about it.", hold=hold))
        await asyncio.to_thread(at.hub.command, "instance:send", agent_id=ME, text="Look at this.")
        while "think" not in at.text:  # noqa: ASYNC110  # the updates come from another process
            await asyncio.sleep(0.01)
        with pytest.raises(AcpError, match="a prompt that others sent"):
            await at.new()
        hold.set()
        at.model.will(says("Hello."))
        assert await at.says("Second.") == {"stopReason": "end_turn"}
        assert "Second." in str(at.model.requests[-1]["messages"]) and "Hello." in at.text

    play(scenario)
