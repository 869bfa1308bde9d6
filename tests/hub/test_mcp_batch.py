"""MCP over HTTP as a client of revision 2025-03-26 speaks it: batches, and what the log says of requests (HUB-7)."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress, HubQuick

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
DONE = {"jsonrpc": "2.0", "method": "notifications/initialized"}
INITIALIZE = {"jsonrpc": "2.0", "id": 9, "method": "initialize", "params": {}}


def tool(number: int, name: str, **arguments: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


class Door:
    """`/mcp` of one hub, as one instance."""

    def __init__(self, address: HubAddress) -> None:
        self.address = address
        reply = HubQuick(address).command("agent:register", agent_type="CLAUDE", instance_id="one")
        self.token = Path(reply["token_file"]).read_text()

    def ask(
        self, body: object, *, method: str = "POST", version: str | None = None, path: str = "/mcp"
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        host, port = self.address.url.removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        headers |= {"Accept": "application/json, text/event-stream"}
        headers |= {"MCP-Protocol-Version": version} if version else {}
        try:
            text = body if isinstance(body, (str, type(None))) else json.dumps(body)
            connection.request(method, path, text, headers)
            response = connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content else None, response.headers
        finally:
            connection.close()


def test_a_batch_is_answered_by_an_array_in_its_order(paths: WorkspacePaths) -> None:
    def talk(address: HubAddress) -> None:
        door = Door(address)
        batch = [PING, DONE, tool(2, "acquire_lock", paths=["a.py"]), tool(3, "get_scope"), {"jsonrpc": "1"}]
        for version in (None, "2025-03-26"):
            status, answers, headers = door.ask(batch, version=version)
            assert (status, headers["content-type"]) == (200, "application/json")
            assert [answer["id"] for answer in answers] == [1, 2, 3, None]
            assert answers[0]["result"] == {} and "error" in answers[3]
            assert answers[1]["result"]["structuredContent"]["granted"] is True
            assert answers[2]["result"]["structuredContent"]["agent_id"] == "CLAUDE-one"
        assert door.ask([DONE, DONE])[:2] == (202, None)
        status, answers, _ = door.ask([INITIALIZE, PING])
        assert [answer["id"] for answer in answers] == [9, 1]
        assert "must not be part of a batch" in answers[0]["error"]["message"] and answers[1]["result"] == {}

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            await asyncio.to_thread(talk, address)

    asyncio.run(main())


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
def test_a_later_revision_has_no_batches(paths: WorkspacePaths, version: str) -> None:
    def talk(address: HubAddress) -> None:
        door = Door(address)
        status, answer, _ = door.ask([PING], version=version)
        assert status == 400 and "error" in answer
        assert door.ask(PING, version=version)[1]["result"] == {}

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            await asyncio.to_thread(talk, address)

    asyncio.run(main())


def test_what_is_no_batch_is_refused_as_before(paths: WorkspacePaths) -> None:
    def talk(address: HubAddress) -> None:
        door = Door(address)
        bodies: tuple[object, ...] = ([], "[1", "[" * 100_000, "", "5", [PING] * 101)
        for body in bodies:
            status, answer, _ = door.ask(body)
            assert status == 400 and answer["error"]["code"] < 0, body
        assert door.ask(PING)[1]["result"] == {}

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            await asyncio.to_thread(talk, address)

    asyncio.run(main())


def test_a_method_that_a_route_does_not_take_is_said_to_be_that(paths: WorkspacePaths) -> None:
    def talk(address: HubAddress) -> None:
        door = Door(address)
        for method, path, allowed in (
            ("GET", "/mcp", "POST"),
            ("GET", "/v1/commands", "POST"),
            ("DELETE", "/v1/state", "GET, HEAD"),
        ):
            status, answer, headers = door.ask(None, method=method, path=path)
            assert status == 405
            assert answer["error"]["message"] == f"{path} does not accept {method}"
            assert set(headers["allow"].split(", ")) == set(allowed.split(", "))
            assert headers["allow"] in answer["error"]["hint"]
        status, answer, _ = door.ask(None, method="GET", path="/nowhere")
        assert (status, answer["error"]["message"]) == (404, "there is no such route")

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            await asyncio.to_thread(talk, address)

    asyncio.run(main())


def test_the_log_has_no_line_for_each_request(paths: WorkspacePaths, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def talk(address: HubAddress) -> None:
        door = Door(address)
        door.ask(PING)
        caplog.clear()
        for _ in range(3):
            assert door.ask(PING)[0] == 200

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            await asyncio.to_thread(talk, address)
            assert [record.getMessage() for record in caplog.records if record.name.startswith("mcp")] == []

    asyncio.run(main())
