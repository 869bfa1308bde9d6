"""Every block of docs/hub.md is run, in the order of the page, in a repository of its own."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from mcp import Client, StdioServerParameters

from aegis_tui.domain.message.exchange import FILE_ORDER
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import Served

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "hub.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
SAID = {
    "build.py": ["person holds src/app.py", "SCRIPT-builder holds src/app.py"],
    "follow.py": ["refused: ", "lock:released src/app.py", "locks are held"],
    "exchange.py": ["review:requested does not come next for cart", "expected: code:writing, code:written"],
    "with-mcp.sh python": ["acquire_lock", "get_scope"],
    "lock.sh": ['"ok":true', '"agent_id":"SCRIPT-shell"'],
    "aegis-tui replay": ["state after event", "the running hub has the same state", '"seq": 3'],
}
"""Part of a shell block -> what it has to say."""


class Block(NamedTuple):
    kind: str
    text: str


BLOCKS = [Block(found[1], found[2]) for found in BLOCK.finditer(PAGE.read_text("utf-8"))]


@pytest.fixture
def scratch() -> Iterator[ScratchWorkspace]:
    workspace = Served()
    try:
        workspace.init({"src/app.py": "", "src/cart.py": "", "docs/hello.md": ""})
        yield workspace
        workspace.aegis("hub", "stop")
        left = workspace.leftovers()
    finally:
        workspace.close()
    assert left == []


def run(scratch: ScratchWorkspace, text: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=scratch.root,
        env=scratch.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=160,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_shell_and_python_blocks_run_and_say_what_they_should(scratch: ScratchWorkspace) -> None:
    told = set()
    for block in BLOCKS:
        if block.kind == "python":
            name = block.text.partition("\n")[0].removeprefix("# ")
            (scratch.root / name).write_text(block.text, "utf-8")
        if block.kind != "sh":
            continue
        said = run(scratch, block.text)
        for part in (name for name in SAID if name in block.text):
            told.add(part)
            for text in SAID[part]:
                assert text.replace(" ", "") in said.replace(" ", ""), (part, text, said)
    assert told == SAID.keys()
    assert (scratch.root / "mcp.json").stat().st_mode & 0o077 == 0
    assert (scratch.root / "src/app.py").read_text() == "print('written under a lock')\n"
    assert (scratch.root / "openapi.json").exists() and (scratch.root / "asyncapi.json").exists()


def test_the_mcp_configuration_by_command_lists_tools(scratch: ScratchWorkspace) -> None:
    (by_command,) = (json.loads(block.text)["mcpServers"]["aegis"] for block in BLOCKS if block.kind == "json")
    assert scratch.aegis("hub", "start").code == 0
    record = json.loads(next((scratch.folder / "run").rglob("hub.json")).read_text())

    async def main() -> None:
        async with EnsembleClient(f"unix:{record['socket']}", token=record["token"]) as person:
            await person.command("agent:register", agent_type="CLAUDE", instance_id="frontend")
        stdio = StdioServerParameters(
            command=by_command["command"], args=by_command["args"], env=scratch.environ, cwd=str(scratch.root)
        )
        async with Client(stdio) as client:
            assert "acquire_lock" in {tool.name for tool in (await client.list_tools()).tools}

    asyncio.run(main())


def test_the_page_names_every_method_and_every_event_of_the_order() -> None:
    text = PAGE.read_text("utf-8")
    for name in ("connect", "subscribe_file", "broadcast_change", "update_task_state", "get_shared_context", "on"):
        assert f"`{name}`" in text and hasattr(EnsembleClient, name)
    for events in FILE_ORDER.values():
        assert all(f"`{event}`" in text for event in events)
