"""MCP over stdin and stdout, as a command-line agent starts it (HUB-7)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from aegis_tui.sdk.discovery import find_hub, workspace_key_of, workspace_paths
from aegis_tui.sdk.quick import HubQuick
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.forked import Program, run_command


def person(served: ScratchWorkspace) -> HubQuick:
    address = find_hub(workspace_paths(workspace_key_of(served.root), served.environ))
    assert address is not None
    return HubQuick(address)


def join(served: ScratchWorkspace, name: str, **fields: Any) -> Path:
    reply = person(served).command("agent:register", agent_type="CLAUDE", instance_id=name, **fields)
    return Path(reply["token_file"])


def server(served: ScratchWorkspace, *arguments: str, **environ: str) -> StdioServerParameters:
    argv = served.argv("mcp", *arguments)
    return StdioServerParameters(
        command=argv[0], args=argv[1:], env={**served.environ, **environ}, cwd=str(served.root)
    )


def test_a_joined_instance_takes_a_lock_and_is_kept_alive(served: ScratchWorkspace) -> None:
    join(served, "frontend", partition=["web/**"])

    async def main() -> None:
        async with Client(server(served, "--instance", "frontend")) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert {"acquire_lock", "get_scope"} <= names and "approve" not in names
            scope = await client.call_tool("get_scope", {})
            assert scope.structured_content is not None
            assert scope.structured_content["agent_id"] == "CLAUDE-frontend"
            assert scope.structured_content["partition"] == ["web/**"]
            locked = await client.call_tool("acquire_lock", {"paths": ["web/a.ts"]})
            assert locked.structured_content is not None and locked.structured_content["granted"]
            told = person(served).state()["locks"]["web/a.ts"]
            assert told["agent_id"] == "CLAUDE-frontend"

    asyncio.run(main())
    assert not [item for item in served.processes() if "mcp" in item.cmdline()]


def test_the_environment_of_a_pane_names_the_instance(served: ScratchWorkspace) -> None:
    token_file = join(served, "reader", role="reviewer")
    paths = workspace_paths(workspace_key_of(served.root), served.environ)
    environ = {"AEGIS_HUB": f"unix:{paths.hub_socket}", "AEGIS_TOKEN_FILE": str(token_file)}

    async def main() -> None:
        async with Client(server(served, **environ)) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert {"approve", "reject", "post_findings"} <= names and "acquire_lock" not in names
            refused = await client.call_tool("reject", {"findings": [{"msg": "x"}]})
            assert refused.is_error and "you have no review" in str(refused.content)

    asyncio.run(main())


def test_a_hub_that_restarts_is_waited_for(served: ScratchWorkspace) -> None:
    join(served, "patient")

    async def main() -> None:
        async with Client(server(served, "--instance", "patient")) as client:
            await client.list_tools()
            await asyncio.to_thread(served.aegis, "hub", "stop")
            asked = asyncio.create_task(client.call_tool("acquire_lock", {"paths": ["patient.py"]}))
            await asyncio.to_thread(served.aegis, "hub", "start")
            answered = await asyncio.wait_for(asked, 20)
            assert answered.structured_content is not None and answered.structured_content["granted"]

    asyncio.run(main())


def test_without_an_instance_nothing_is_served(served: ScratchWorkspace, tmp_path: Path) -> None:
    nobody = served.aegis("mcp")
    assert (nobody.code, nobody.out) == (2, "") and "--instance" in nobody.err
    unknown = served.aegis("mcp", "--instance", "nobody")
    assert unknown.code == 2 and "connect" in unknown.err
    wrong = tmp_path / "token"
    wrong.write_text("0" * 64)
    environ = {**served.environ, "AEGIS_TOKEN_FILE": str(wrong)}
    done = run_command("mcp", folder=served.root, environ=environ)
    assert (done.returncode, done.stdout) == (3, "") and "0" * 64 not in done.stderr
    wrong.write_text(json.loads((paths_of(served) / "hub.json").read_text())["token"])
    done = run_command("mcp", folder=served.root, environ=environ)
    assert done.returncode == 3 and "MCP needs the token of an instance" in done.stderr


def paths_of(served: ScratchWorkspace) -> Path:
    return workspace_paths(workspace_key_of(served.root), served.environ).runtime_dir


def test_other_commands_and_a_starting_hub_do_not_import_what_only_clients_of_it_need() -> None:
    code = "import sys, aegis_tui.hub.run, aegis_tui.cli.main, aegis_tui.cli.lock; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    late = {"mcp", "aegis_tui.sdk.tools", "aegis_tui.hub.schema_models"}
    assert not late & set(done.stdout.split())


class Raw:
    """An MCP server spoken to line by line, as no well-behaved library would."""

    def __init__(self, served: ScratchWorkspace, name: str) -> None:
        join(served, name)
        (stdin, writer), (reader, stdout) = os.pipe(), os.pipe()
        self.input, self.output = os.fdopen(writer, "w"), os.fdopen(reader)
        argv = ["aegis_tui", "mcp", "--instance", name]
        self.process = Program(argv, folder=served.root, environ=served.environ, files=(stdin, stdout, 2))
        os.close(stdin)
        os.close(stdout)
        client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        self.send("initialize", client, id=1)
        assert self.line()["id"] == 1
        self.send("notifications/initialized", {})

    def send(self, method: str, params: dict[str, Any], **more: Any) -> None:
        self.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}))

    def write(self, line: str) -> None:
        self.input.write(line + "\n")
        self.input.flush()

    def line(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.output.readline())
        return found

    def acquire(self, path: str) -> None:
        self.send("tools/call", {"name": "acquire_lock", "arguments": {"paths": [path], "wait_s": 20}}, id=12)

    def close(self) -> int:
        self.input.close()
        code = self.process.wait(20)
        self.output.close()
        return code


def waits(served: ScratchWorkspace) -> list[str]:
    return [item["agent_id"] for item in person(served).mirror()["locks"]["waits"]]


def test_a_line_that_is_no_message_is_answered(served: ScratchWorkspace) -> None:
    server = Raw(served, "sloppy")
    for line, code in (("{nope", -32700), ('[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', -32600), ("5", -32600)):
        server.write(line)
        answer = server.line()
        assert (answer["id"], answer["error"]["code"]) == (None, code), line
    server.send("ping", {}, id=7)
    assert server.line()["id"] == 7
    assert server.close() == 0


def test_a_wait_that_an_agent_cancels_or_leaves_is_withdrawn(served: ScratchWorkspace) -> None:
    for path in ("held.py", "again.py"):
        person(served).command("lock:acquire", path=path)
    server = Raw(served, "hasty")
    server.acquire("held.py")
    served.until(lambda: waits(served) == ["CLAUDE-hasty"], what="the wait")
    server.send("notifications/cancelled", {"requestId": 12, "reason": "no longer needed"})
    served.until(lambda: not waits(served), what="the end of the wait", timeout_s=15)
    server.acquire("again.py")
    served.until(lambda: waits(served) == ["CLAUDE-hasty"], what="the second wait")
    assert server.close() == 0
    assert waits(served) == []
    for path in ("held.py", "again.py"):
        person(served).command("lock:release", path=path)
    locks = person(served).state()["locks"]
    assert "held.py" not in locks and "again.py" not in locks


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_wait_of_a_server_that_is_told_to_end_is_withdrawn(served: ScratchWorkspace, number: signal.Signals) -> None:
    person(served).command("lock:acquire", path="ending.py")
    server = Raw(served, f"ending{number:d}")
    server.acquire("ending.py")
    served.until(lambda: waits(served), what="the wait")
    server.process.send_signal(number)
    assert server.process.wait(20) == -number
    server.close()
    assert waits(served) == []
