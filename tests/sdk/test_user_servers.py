"""The person's MCP servers as an instance runs them: real programs and a real HTTP server (AGENT-7)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from aegis_tui.domain.mcp_server import McpServer
from aegis_tui.errors import UsageError
from aegis_tui.sdk import user_servers
from aegis_tui.sdk.mcp_servers_file import ServersFile, ServerStart, load_servers, render_servers
from aegis_tui.sdk.user_servers import ServerTools, UserServers
from tests.http_app import serving

SERVER = """
import os, sys, time
from mcp.server import MCPServer

app = MCPServer("words")

@app.tool()
def shout(text: str) -> str:
    "Return a text in capitals."
    return text.upper() + os.environ.get("MARK", "") + os.getcwd()

@app.tool(name="odd name." + "x" * 60)
def odd() -> str:
    return "odd"

@app.tool()
def fail() -> str:
    raise RuntimeError("it cannot be done")

@app.tool()
def die() -> str:
    os._exit(3)

print("hello", file=sys.stderr, flush=True)
app.run()
"""


def words(name: str = "words", **environment: str) -> ServerStart:
    return ServerStart(name, (sys.executable, "-c", SERVER), environment)


def test_tools_are_listed_under_the_name_of_their_server_and_run(tmp_path: Path) -> None:
    async def use() -> None:
        servers = ServersFile((words(MARK="!"), words("more")))
        async with UserServers(servers, logs_dir=tmp_path, folder=tmp_path) as running:
            tools = ServerTools(running)
            listed = {tool.name: tool for tool in await tools.listed()}
            assert list(listed) == sorted(listed) and len(listed) == 8
            assert listed["words__shout"].description == "Return a text in capitals."
            assert listed["words__shout"].parameters["properties"]["text"]["type"] == "string"
            assert all(len(name) <= 48 and name.replace("_", "").replace("-", "").isalnum() for name in listed)
            assert await tools.run("words__shout", {"text": "hé"}) == (f"HÉ!{tmp_path}", False)
            assert await tools.run("more__shout", {"text": "a"}) == (f"A{tmp_path}", False)
            assert await tools.run(next(name for name in listed if "odd" in name), {}) == ("odd", False)
            said, is_error = await tools.run("words__fail", {})
            assert is_error and "fail" in said
            said, is_error = await tools.run("words__shout", {"wrong": 1})
            assert is_error and "text" in said
            said, is_error = await tools.run("words__die", {})
            assert is_error and said.startswith("words__die failed")
            assert await tools.run("more__shout", {"text": "b"}) == (f"B{tmp_path}", False), "the other one goes on"
        assert "hello" in (tmp_path / "mcp-words.log").read_text()

    asyncio.run(use())
    assert not [child for child in psutil.Process().children(recursive=True) if "MCPServer" in str(child.cmdline())]


def test_a_server_that_does_not_start_is_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_servers, "START_S", 3.0)
    servers = ServersFile(
        (
            ServerStart("absent", ("/no/such/program",)),
            ServerStart("ending", (sys.executable, "-c", "raise SystemExit('no licence')")),
            ServerStart("silent", (sys.executable, "-c", "import time; time.sleep(60)")),
            ServerStart("far", url="http://127.0.0.1:9/mcp"),
            ServerStart("chatty", (sys.executable, "-c", "print('not JSON'); import time; time.sleep(60)")),
        )
    )

    async def use() -> list[str]:
        async with UserServers(servers, logs_dir=tmp_path, folder=tmp_path) as running:
            assert await running.tools() == []
            return sorted(running.problems)

    problems = asyncio.run(use())
    assert [text.split(":")[0] for text in problems] == [
        f"the MCP server {name} is left out" for name in ("absent", "chatty", "ending", "far", "silent")
    ]
    assert "no answer within 3 s" in problems[-1]
    log = tmp_path / "mcp-ending.log"
    assert "no licence" in log.read_text()
    assert problems[2].endswith(f"; what it wrote is in {log}") and "what it wrote" not in problems[0]


@pytest.fixture
def http_server() -> Iterator[int]:
    """An MCP server over HTTP on a loopback port; it wants a header."""
    from mcp.server import MCPServer

    app = MCPServer("pages")

    @app.tool()
    def greet(name: str) -> str:
        return f"welcome {name}"

    inner = app.streamable_http_app()

    async def guarded(scope: dict[str, object], receive: object, send: object) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])  # type: ignore[call-overload]
            assert headers.get(b"x-key") == b"secret", headers
        await inner(scope, receive, send)  # type: ignore[arg-type]

    with serving(guarded) as port:
        yield port


def test_a_server_over_http_gets_its_headers(tmp_path: Path, http_server: int) -> None:
    start = ServerStart("pages", url=f"http://127.0.0.1:{http_server}/mcp", headers={"X-Key": "secret"})

    async def use() -> None:
        async with UserServers(ServersFile((start,)), logs_dir=tmp_path, folder=tmp_path) as running:
            tools = ServerTools(running)
            assert [tool.name for tool in await tools.listed()] == ["pages__greet"], running.problems
            assert await tools.run("pages__greet", {"name": "you"}) == ("welcome you", False)

    asyncio.run(use())


def test_the_file_of_an_instance_holds_what_the_settings_say(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a1b2\n")
    assert load_servers(token) == ServersFile()
    servers = {
        "words": McpServer.model_validate({"command": ["words", "-x"], "environment": {"KEY": "k"}}),
        "near": McpServer.model_validate({"url": "http://localhost:81/mcp", "headers": {"A": "b"}}),
        "too": McpServer.model_validate({"url": "http://127.0.0.1:81/other"}),
        "safe": McpServer.model_validate({"url": "https://localhost:82/mcp"}),
    }
    (tmp_path / "mcp.json").write_text(render_servers(servers, egress="/run/egress.sock"))
    loaded = load_servers(token)
    assert {item.name: item for item in loaded.servers} == {
        "words": ServerStart("words", ("words", "-x"), {"KEY": "k"}),
        "near": ServerStart("near", url="http://localhost:81/mcp", headers={"A": "b"}),
        "too": ServerStart("too", url="http://127.0.0.1:81/other"),
        "safe": ServerStart("safe", url="https://localhost:82/mcp"),
    }
    assert (loaded.egress, loaded.token) == (Path("/run/egress.sock"), "a1b2")
    assert [port for _, port in loaded.local_places] == [81], "each port is listened at once"
    for text in ("", "[]", "{", json.dumps({"servers": {"a": {}}, "egress": None})):
        (tmp_path / "mcp.json").write_text(text)
        with pytest.raises(UsageError, match=r"mcp\.json is not valid"):
            load_servers(token)
