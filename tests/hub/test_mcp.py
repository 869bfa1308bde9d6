"""MCP over HTTP: the tools of each role, who asks, and that they do what they say (HUB-7, contract 9)."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.domain.core import THE_HUB
from aegis_tui.domain.instance.commands import AgentLeave
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress, HubQuick
from aegis_tui.sdk.tools import NAMES
from tests.hub.effects import Run

LOCKS = {"acquire_lock", "renew_lock", "release_lock"}
TASKS = {"claim_task", "update_task", "request_review", "report_done"}
CONTRACT = {
    "worker": LOCKS | TASKS | {"get_scope", "request_scope", "send_message", "read_messages", "get_context"},
    "commander": {"propose_design", "dispatch_workers", "check_conflicts", "run_qa", "integrate"},
    "reviewer": {"post_findings", "approve", "reject"},
    "consultant": {"create_spec"},
    "scout": {"report_done"},
}
INITIALIZE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
DESIGN: dict[str, Any] = {
    "goal": "g",
    "features": [
        {"id": "alpha", "title": "A", "brief": "a", "partition": ["src/a/**"]},
        {"id": "beta", "title": "B", "brief": "b", "partition": ["src/b/**"]},
    ],
    "joint": ["src/routes.py"],
}


class Agent:
    """One MCP client; `call` gives the structured result, `refused` the words of a refusal."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        assert isinstance(result.structured_content, dict)
        return result.structured_content

    async def refused(self, tool: str, **arguments: Any) -> str:
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error
        return str(result.content[0].text)  # type: ignore[union-attr]  # errors are text

    async def names(self) -> set[str]:
        return {tool.name for tool in (await self.client.list_tools()).tools}


@contextlib.asynccontextmanager
async def speak(address: HubAddress, token: str, *, mode: str = "auto") -> AsyncIterator[Agent]:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as carrier:
        door = streamable_http_client(f"{address.url}/mcp", http_client=carrier)
        async with Client(door, mode=mode) as client:
            await client.list_tools()
            yield Agent(client)


async def join(address: HubAddress, name: str, *, role: str = "worker", partition: tuple[str, ...] = ()) -> str:
    def register() -> str:
        fields: dict[str, Any] = {"instance_id": name, "role": role, "partition": list(partition)}
        reply = HubQuick(address).command("agent:register", agent_type="CLAUDE", **fields)
        return Path(reply["token_file"]).read_text()

    return await asyncio.to_thread(register)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_each_role_lists_its_tools_of_the_contract_with_typed_results(paths: WorkspacePaths, mode: str) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            for role, wanted in CONTRACT.items():
                async with speak(address, await join(address, role, role=role), mode=mode) as agent:
                    listed = (await agent.client.list_tools()).tools
                    names = {tool.name for tool in listed}
                    assert wanted <= names <= set(NAMES)
                    assert all(tool.output_schema and tool.description for tool in listed)
                    assert not any("Raises:" in (tool.description or "") for tool in listed)
                    for other, theirs in CONTRACT.items():
                        if other not in (role, "scout", "worker"):
                            assert not names & theirs
                    properties = [name for tool in listed for name in tool.input_schema["properties"]]
                    assert "agent_id" not in properties

    asyncio.run(main())


def test_a_tool_of_another_role_cannot_be_called(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine):
            token = await join(address, "one")
            async with speak(address, token) as agent:
                seq = engine.last_seq
                assert "no tool create_spec for a worker" in await agent.refused("create_spec", spec_id="s", title="t")
                assert "no tool approve" in await agent.refused("approve", criteria=[])
                assert engine.last_seq == seq

    asyncio.run(main())


def test_a_lock_is_granted_refused_with_its_holder_renewed_and_released(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            tokens = [await join(address, name) for name in ("one", "two")]
            async with speak(address, tokens[0]) as one, speak(address, tokens[1]) as two:
                granted = await one.call("acquire_lock", paths=["b.py", "a.py"], ttl_s=60)
                assert [lock["path"] for lock in granted["locks"]] == ["a.py", "b.py"]
                held = await two.call("acquire_lock", paths=["a.py"])
                assert (held["granted"], held["code"], held["held_by"]) == (False, "HELD", "CLAUDE-one")
                assert 0 < held["expires_in_s"] <= 60
                free = await two.call("acquire_lock", paths=["c.py"], first_line=3, last_line=9)
                assert free["locks"][0]["region"] is not None
                lock = {name: granted["locks"][0][name] for name in ("lock_id", "token")}
                assert (await one.call("renew_lock", **lock, ttl_s=90))["locks"][0]["expires_in_s"] == 90
                assert "CLAUDE-one holds a.py" in await two.refused("renew_lock", **lock)
                waiting = asyncio.create_task(two.call("acquire_lock", paths=["a.py"], wait_s=20))
                assert (await one.call("release_lock", **lock))["names"] == [lock["lock_id"]]
                assert (await waiting)["granted"]
                assert "less than or equal to 25" in await two.refused("acquire_lock", paths=["x"], wait_s=26)

    asyncio.run(main())


def test_who_asks_is_known_from_the_token_and_calls_at_once_do_not_mix(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _), contextlib.AsyncExitStack() as stack:
            agents = {}
            for number in range(4):
                name = f"n{number}"
                token = await join(address, name, partition=(f"src/{name}/**",))
                agents[name] = await stack.enter_async_context(
                    speak(address, token, mode="legacy" if number % 2 else "auto")
                )
            asked = [(name, agent.call("get_scope", agent_id="CLAUDE-n0")) for name, agent in agents.items()]
            asked += [(name, agent.call("get_scope")) for _ in range(8) for name, agent in agents.items()]
            for (name, _), scope in zip(asked, await asyncio.gather(*(one for _, one in asked)), strict=True):
                assert (scope["agent_id"], scope["partition"]) == (f"CLAUDE-{name}", [f"src/{name}/**"])

    asyncio.run(main())


def test_messages_stay_until_the_reader_says_that_it_has_them(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine):
            tokens = [await join(address, name) for name in ("one", "two")]
            async with speak(address, tokens[0]) as one, speak(address, tokens[1]) as two:
                waiting = asyncio.create_task(two.call("read_messages", wait_s=20))
                await one.call("send_message", to="two", text="hello")
                (first,) = (await waiting)["messages"]
                assert (first["sender"], first["text"]) == ("CLAUDE-one", "hello")
                assert (await two.call("read_messages"))["messages"] == [first]
                await one.call("send_message", to="CLAUDE-two", text="again")
                (second,) = (await two.call("read_messages", after=first["seq"]))["messages"]
                assert second["text"] == "again"
                assert (await two.call("read_messages"))["messages"] == [second]
                assert "no instance" in await one.refused("send_message", to="nobody", text="x")
                left = await engine.read(lambda workspace: len(workspace.messages.waiting))
                assert left == 1

    asyncio.run(main())


def test_a_spec_is_made_claimed_once_and_reported_on(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine):
            consultant = await join(address, "writer", role="consultant")
            tokens = [await join(address, name) for name in ("one", "two")]
            async with speak(address, consultant) as writer:
                await writer.call("create_spec", spec_id="s1", title="first")
                await writer.call("create_spec", spec_id="s2", title="second", dependencies=["s1"])
                assert "already exists" in await writer.refused("create_spec", spec_id="s1", title="x")
            async with speak(address, tokens[0]) as one, speak(address, tokens[1]) as two:
                claims = await asyncio.gather(
                    one.client.call_tool("claim_task", {}), two.client.call_tool("claim_task", {})
                )
                assert sorted(bool(claim.is_error) for claim in claims) == [False, True]
                owner, other = (one, two) if not claims[0].is_error else (two, one)
                assert (await owner.call("get_scope"))["specs"] == ["s1"]
                assert "s1" in await other.refused("update_task", spec_id="s1", task_id="t", status="done")
                await owner.call("update_task", spec_id="s1", task_id="t", status="done", progress=1.0)
                assert (await owner.call("get_context"))["specs"]["s1"]["progress"] == 1.0
                assert "waits for s1" in await other.refused("claim_task", spec_id="s2")
                assert (await owner.call("report_done", summary="did it"))["handed_in"] is None
            states = await engine.read(lambda workspace: {i.state for i in workspace.instances.by_id.values()})
            assert "done" in states

    asyncio.run(main())


def test_scope_is_asked_for_and_steps_out_of_order_are_refused(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            await join(address, "two", partition=("src/b/**",))
            async with speak(address, await join(address, "one", partition=("src/a/**",))) as one:
                assert (await one.call("request_scope", path="src/a/x.py", reason="mine"))["granted"] is True
                asked = await one.call("request_scope", path="src/b/x.py", reason="a route")
                assert (asked["granted"], asked["owner"]) == (False, "CLAUDE-two")
                assert (await one.call("get_scope"))["requested"] == ["src/b/x.py"]
                denied = await one.call("acquire_lock", paths=["src/b/x.py"])
                assert "PARTITION" in denied["code"]
                assert denied["message"] == "src/b/x.py belongs to CLAUDE-two. ask for the path with scope:request"
                await one.call("broadcast", event="plan:proposed", data={"feature": "f", "files": ["src/a/x.py"]})
                told = await one.refused("broadcast", event="fix:applied", data={"feature": "f"})
                assert "exchange.order" in told and "expected: plan:acknowledged" in told

    asyncio.run(main())


def test_the_commander_is_told_the_gate_until_the_stage_has_come(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine):
            token = await join(address, "boss", role="commander")
            async with speak(address, token) as boss:
                assert "no run" in await boss.refused("check_conflicts")
                run = Run(engine)
                await run.start()
                assert "DISPATCH has not begun: design_agreed" in await boss.refused("dispatch_workers")
                assert "only the Commander" in await boss.refused("propose_design", design=DESIGN)
                async with speak(address, await run.bring_up("NATIVE-c01")) as commander:
                    assert "alpha" in await commander.refused("propose_design", design=overlapping())
                    assert (await commander.call("propose_design", design=DESIGN))["agreed"] is True
                workers = {name: await run.bring_up(name) for name in ("NATIVE-w01", "NATIVE-w02")}
                told = await boss.call("dispatch_workers")
                assert {item["name"]: item["agent_id"] for item in told["pieces"]} == {
                    "alpha": "NATIVE-w01",
                    "beta": "NATIVE-w02",
                }
                assert "INTEGRATE has not begun: workers_finished" in await boss.refused("integrate")
                await run.observe_conflict()
                (conflict,) = (await boss.call("check_conflicts"))["conflicts"]
                assert (conflict["path"], conflict["kind"]) == ("src/routes.py", "soft")
                await hand_in(address, run, workers)
                assert (await boss.call("integrate"))["approved"] is False
                assert "FINAL-QA has not begun: composition_whole" in await boss.refused("run_qa")
                waiting = asyncio.create_task(boss.call("integrate", wait_s=20))
                await run.check_composition()
                async with speak(address, await run.bring_up_reviewer()) as reviewer:
                    await reviewer.call("approve", criteria=[{"id": "c", "pass": True, "evidence": "read it"}])
                assert (await waiting)["approved"] is True
                waiting = asyncio.create_task(boss.call("run_qa", wait_s=20))
                await run.finish_qa()
                result = await waiting
                assert (result["finished"], result["ok"], result["checks"][0]["passed"]) == (True, True, 3)

    asyncio.run(main())


async def hand_in(address: HubAddress, run: Run, workers: dict[str, str]) -> None:
    """Both workers hand in; the review of the first finds something, and is asked again."""
    for number, (name, token) in enumerate(workers.items()):
        piece = ("alpha", "beta")[number]
        for attempt, decision in enumerate(("reject", "approve") if number == 0 else ("approve",)):
            head = f"{number}{attempt}" * 20
            async with speak(address, token) as worker:
                assert "changed nothing" in await worker.refused("request_review")
                done = await worker.call("report_done", summary="x", head_oid=head)
                assert "only while a worker builds" in await worker.refused("request_review")
                assert done["handed_in"] == piece
            await run.check(piece, head, f"src/{piece[0]}/x.py")
            async with speak(address, await run.bring_up_reviewer()) as reviewer:
                told = await reviewer.call("post_findings", findings=[{"msg": "a name", "severity": "info"}])
                assert told["told"] == [name]
                failed = [{"id": "c", "pass": False}]
                assert "criteria fail" in await reviewer.refused("approve", criteria=failed)
                if decision == "reject":
                    await reviewer.call("reject", findings=[{"msg": "unsafe", "file": f"src/{piece[0]}/x.py"}])
                else:
                    await reviewer.call("approve", criteria=[{"id": "c", "pass": True, "evidence": "seen"}])
        await run.apply(piece, head)


def overlapping() -> dict[str, Any]:
    features = [{**feature, "partition": ["src/**"]} for feature in DESIGN["features"]]
    return {**DESIGN, "features": features}


def ask(address: HubAddress, method: str, body: str | None, headers: dict[str, str]) -> int:
    host, port = address.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    try:
        connection.putrequest(method, "/mcp", skip_host="Host" in headers)
        for name, value in {"Content-Length": str(len(body or "")), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        if body:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.send(body.encode())
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_door_of_mcp_refuses_what_the_others_refuse(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine):
            token = await join(address, "one")
            accept = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
            good = {**accept, "Authorization": f"Bearer {token}"}
            cases: list[tuple[str, str | None, dict[str, str], int]] = [
                ("POST", INITIALIZE, good, 200),
                ("POST", INITIALIZE, accept, 401),
                ("POST", INITIALIZE, {**good, "Authorization": "Bearer " + "0" * 64}, 401),
                ("POST", INITIALIZE, {**good, "Authorization": f"Bearer {address.token}"}, 403),
                ("POST", INITIALIZE, {**good, "Origin": "https://evil.example"}, 403),
                ("POST", INITIALIZE, {**good, "Origin": address.url}, 403),
                ("POST", INITIALIZE, {**good, "Host": "rebound.example:9999"}, 403),
                ("POST", INITIALIZE, {**good, "Content-Type": "text/plain"}, 400),
                ("POST", "no json", good, 400),
                ("POST", "x" * (2 << 20), good, 413),
                ("GET", None, good, 405),
                ("DELETE", None, good, 405),
            ]
            for method, body, headers, status in cases:
                assert await asyncio.to_thread(ask, address, method, body, headers) == status, (method, headers)
            await engine.submit(AgentLeave(), type(THE_HUB)("CLAUDE-one", "instance"))
            assert await asyncio.to_thread(ask, address, "POST", INITIALIZE, good) == 401

    asyncio.run(main())


def test_a_library_that_cannot_be_imported_is_said_and_the_hub_goes_on(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aegis_tui.sdk.mcp_server", None)

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            headers = {"Authorization": f"Bearer {await join(address, 'one')}", "Content-Type": "application/json"}
            for _ in range(2):
                assert await asyncio.to_thread(ask, address, "POST", INITIALIZE, headers) == 503
            assert (await asyncio.to_thread(HubQuick(address).state))["active_agents"]

    asyncio.run(main())
