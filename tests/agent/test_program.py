from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
import termios
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubQuick
from aegis_tui.testing.canned_llm import CannedModel, calls

ME = "NATIVE-own"


class Pane:
    """A terminal: what a person types goes in, what is shown is kept."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        self._shown = bytearray()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;]*m", "", bytes(self._shown).decode("utf-8", "replace"))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def close(self) -> None:
        os.close(self.slave)
        self._reader.join(5)
        os.close(self.master)

    def _read(self) -> None:
        with suppress(OSError):
            while chunk := os.read(self.master, 65536):
                self._shown += chunk


@dataclass
class Room:
    """The real program in a pane, on a real hub and a model with prepared answers."""

    pane: Pane
    hub: HubQuick
    server: CannedModel
    process: asyncio.subprocess.Process
    worktree: Path

    async def ask(self, command_type: str, **fields: Any) -> dict[str, Any]:
        return await asyncio.to_thread(self.hub.command, command_type, **fields)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.02)

    async def events(self, event_type: str) -> list[dict[str, Any]]:
        found = await asyncio.to_thread(self.hub.events, 0, 1000)
        return [event["data"] for event in found if event["type"] == event_type and event["agent_id"] == ME]

    async def until_state(self, state: str) -> dict[str, Any]:
        """The newest word of the instance on itself, once it says `state`."""
        async with asyncio.timeout(15):
            while True:
                said = await self.events("agent:state")
                if said and said[-1]["state"] == state:
                    return said[-1]
                await asyncio.sleep(0.02)


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[WorkspacePaths]:
    """The folders of a workspace; the runtime folder is short, for the sockets."""
    runtime = Path(tempfile.mkdtemp(prefix="ag", dir="/tmp"))
    yield WorkspacePaths("0123456789ab", tmp_path / "state", runtime / "k")
    shutil.rmtree(runtime)


@asynccontextmanager
async def room(paths: WorkspacePaths, worktree: Path) -> AsyncIterator[Room]:
    async with open_hub(paths, port=0) as (address, _), CannedModel(socket=paths.runtime_dir / "m.sock") as server:
        hub = HubQuick(address)
        token_file = await asyncio.to_thread(join, hub)
        async with program(worktree, token_file, address.socket, server) as (pane, process):
            yield Room(pane, hub, server, process, worktree)


@asynccontextmanager
async def program(
    worktree: Path, token_file: str, hub_socket: str, server: CannedModel
) -> AsyncIterator[tuple[Pane, asyncio.subprocess.Process]]:
    scope = worktree.parent / "scope.json"
    scope.write_text('{"partition": ["src/a/**"]}')
    pane = Pane()
    environment = {
        **os.environ,
        "AEGIS_INSTANCE": "own",
        "AEGIS_HUB": f"unix:{hub_socket}",
        "AEGIS_TOKEN_FILE": token_file,
        "AEGIS_SCOPE_FILE": str(scope),
        "OPENAI_BASE_URL": server.base_url,
        "TERM": "xterm-256color",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aegis_tui.agent"),
        cwd=worktree,
        env=environment,
        stdin=pane.slave,
        stdout=pane.slave,
        stderr=pane.slave,
        start_new_session=True,
    )
    try:
        yield pane, process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        pane.close()


def join(hub: HubQuick) -> str:
    reply = hub.command("agent:register", agent_type="NATIVE", instance_id="own", partition=["src/a/**"])
    return str(reply["token_file"])


def test_the_program_works_in_a_pane_and_leaves_in_good_order(paths: WorkspacePaths, worktree: Path) -> None:
    async def scenario(at: Room) -> None:
        before = termios.tcgetattr(at.pane.slave)
        await at.until_state("idle")
        at.server.will(
            calls(("write", {"path": "src/a/n.py", "content": "N = 1\n"})),
            calls(("report", {"status": "done", "summary": "wrote n"})),
        )
        await at.ask("instance:send", agent_id=ME, text="Write n.")
        done = await at.until_state("done")
        assert (worktree / "src/a/n.py").read_text() == "N = 1\n"
        assert done["note"] == "wrote n"
        assert done["tokens"] == {"prompt": 200, "completion": 40, "cached": 120}
        await at.until(lambda: "● Writing src/a/n.py" in at.pane.text)
        assert at.server.authorizations[-1].startswith("Bearer ")

        marker = worktree / "src/a/started"
        at.server.will(calls(("bash", {"command": f"touch {marker}; sleep 60"})))
        at.pane.type("long " * 2000 + "line\r")
        await at.until(marker.exists)
        assert "long line" in at.server.requests[-1]["messages"][-1]["content"]
        assert len(at.server.requests[-1]["messages"][-1]["content"]) == len("long " * 2000 + "line")
        at.process.send_signal(signal.SIGINT)
        await at.until_state("idle")
        assert at.process.returncode is None

        at.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(at.process.wait(), 10) == 0
        assert await at.events("agent:left") == [{"reason": "SIGTERM"}]
        assert termios.tcgetattr(at.pane.slave) == before
        assert "Traceback" not in at.pane.text

    async def bounded() -> None:
        async with asyncio.timeout(40), room(paths, worktree) as at:
            await scenario(at)

    asyncio.run(bounded())


def test_a_hub_that_is_away_at_the_start_is_waited_for(paths: WorkspacePaths, worktree: Path) -> None:
    """A hub that is killed while instances start must not cost each of them an attempt."""

    async def scenario() -> None:
        async with open_hub(paths, port=0) as (address, _):
            token_file = await asyncio.to_thread(join, HubQuick(address))
        async with (
            CannedModel(socket=paths.runtime_dir / "m.sock") as server,
            program(worktree, token_file, address.socket, server) as (pane, process),
        ):
            at = Room(pane, HubQuick(address), server, process, worktree)
            await at.until(lambda: "waiting for it" in pane.text)
            async with open_hub(paths, port=0) as (again, _):
                at.hub = HubQuick(again)
                await at.until_state("idle")
                process.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(process.wait(), 10) == 0
            assert pane.text.count("waiting for it") == 1

    asyncio.run(scenario())


def test_ctrl_c_while_the_hub_is_waited_for_ends_it_with_a_word(paths: WorkspacePaths, worktree: Path) -> None:
    async def scenario() -> None:
        async with open_hub(paths, port=0) as (address, _):
            token_file = await asyncio.to_thread(join, HubQuick(address))
        async with (
            CannedModel(socket=paths.runtime_dir / "m.sock") as server,
            program(worktree, token_file, address.socket, server) as (pane, process),
        ):
            at = Room(pane, HubQuick(address), server, process, worktree)
            await at.until(lambda: "waiting for it" in pane.text)
            process.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(process.wait(), 10) == 130
            await at.until(lambda: "interrupted" in pane.text)
            assert "Traceback" not in pane.text

    asyncio.run(scenario())
