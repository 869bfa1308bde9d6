import asyncio
import http.client
import json
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.errors import AegisError, HubUnavailable, Refused, StoreError, UsageError
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.server import HubServer, open_loopback, parse_port
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.discovery import WorkspacePaths, find_hub
from aegis_tui.sdk.quick import HubAddress, HubQuick

COMMAND = json.dumps({"v": 1, "request_id": "r", "type": "context:get"})


def ask(address: HubAddress, method: str, target: str, body: str | None, headers: dict[str, str]) -> tuple[int, Any]:
    """One plain HTTP request over TCP, with exactly these headers."""
    host, port = address.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    try:
        connection.putrequest(method, target, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body is not None and "Content-Length" not in headers:
            connection.putheader("Content-Length", str(len(body.encode())))
        connection.endheaders()
        if body is not None:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.send(body.encode())
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_the_door_refuses_what_it_must(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            good = {"Authorization": f"Bearer {address.token}", "Content-Type": "application/json"}
            cases: list[tuple[str, str, str | None, dict[str, str], int, str]] = [
                ("POST", "/v1/commands", COMMAND, good, 200, ""),
                ("POST", "/v1/commands", COMMAND, {**good, "Origin": "https://evil.example"}, 403, "origin"),
                ("POST", "/v1/commands", COMMAND, {**good, "Origin": "null"}, 403, "origin"),
                ("GET", "/healthz", None, {"Origin": address.url}, 403, "origin"),
                ("GET", "/healthz", None, {"Host": "rebound.example:9999"}, 403, "host"),
                ("GET", "/healthz", None, {"Host": "127.0.0.1@evil.example"}, 403, "host"),
                ("GET", "/healthz", None, {"Host": "localhost:1"}, 200, ""),
                ("GET", "/v1/state", None, {}, 401, "unauthorized"),
                ("GET", "/v1/state", None, {"Authorization": "Bearer "}, 401, "unauthorized"),
                ("GET", "/v1/state", None, {"Authorization": f"Basic {address.token}"}, 401, "unauthorized"),
                ("GET", "/v1/events", None, {"Authorization": "Bearer " + "0" * 64}, 401, "unauthorized"),
                ("GET", "/metrics", None, {}, 401, "unauthorized"),
                ("POST", "/v1/commands", COMMAND, {"Content-Type": "application/json"}, 401, "unauthorized"),
                ("POST", "/v1/commands", COMMAND, {**good, "Content-Type": "text/plain"}, 415, "content_type"),
                ("POST", "/v1/commands", "x" * (2 << 20), good, 413, "too_large"),
                ("POST", "/v1/commands", "[" * 50_000, good, 400, "usage"),
                ("POST", "/v1/commands", "[1]", good, 400, "usage"),
                ("POST", "/v1/commands", '{"type": "rm -rf"}', good, 400, "usage"),
                ("POST", "/v1/commands", '{"type": "context:get", "extra": 1}', good, 400, "usage"),
                ("POST", "/v1/commands", '{"type": "lock:expire", "lock_id": "x", "token": 1}', good, 400, "usage"),
                ("POST", "/v1/commands", '{"type": "message:send", "to": "x", "text": "\\ud800"}', good, 400, "usage"),
                ("POST", "/v1/commands", '{"v": 2, "type": "context:get"}', good, 400, "usage"),
                ("POST", "/v1/commands", '{"type": "context:get", "request_id": 7}', good, 400, "usage"),
                ("POST", "/v1/commands", '{"type": "subscribe"}', good, 400, "usage"),
                ("GET", "/v1/events?after=-1", None, good, 400, "usage"),
                ("GET", "/v1/events?limit=0", None, good, 200, ""),
                ("GET", "/v1/events?limit=99999999", None, good, 400, "usage"),
                ("GET", "/docs", None, good, 404, "route"),
                ("DELETE", "/v1/state", None, good, 405, "route"),
            ]
            for method, target, body, headers, status, code in cases:
                found, reply = await asyncio.to_thread(ask, address, method, target, body, headers)
                assert (found, reply.get("error", {}).get("code", "")) == (status, code), (method, target, headers)
                assert reply["ok"] is (status == 200)
                assert address.token not in json.dumps(reply)

    asyncio.run(main())


def test_a_chunked_body_over_the_limit_is_cut_off(paths: WorkspacePaths) -> None:
    def send(address: HubAddress) -> int:
        host, port = address.url.removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=5)
        headers = {"Authorization": f"Bearer {address.token}", "Content-Type": "application/json"}
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", "/v1/commands", iter([b"x" * 65536] * 40), headers, encode_chunked=True)
        try:
            return connection.getresponse().status
        finally:
            connection.close()

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            assert await asyncio.to_thread(send, address) == 413

    asyncio.run(main())


def test_an_instance_cannot_do_what_is_a_persons(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            async with await join(address, "one") as one:
                for command, fields in (
                    ("lock:break", {"lock_id": "x"}),
                    ("run:start", {"goal": "mine"}),
                    ("partition:set", {"agent_id": "CLAUDE-one", "globs": ["**"]}),
                    ("instance:send", {"agent_id": "CLAUDE-two", "text": "obey"}),
                ):
                    with pytest.raises(Refused) as caught:
                        await one.command(command, **fields)
                    assert caught.value.code == "person.only"
            person = HubQuick(address)
            with pytest.raises(UsageError, match="only the hub fills in"):
                await asyncio.to_thread(person.command, "run:start", goal="g", run="r1")

    asyncio.run(main())


def test_no_secret_leaves_the_hub(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with (
            open_hub(paths, port=0) as (address, engine),
            await join(address, "one") as one,
            await join(address, "two") as two,
        ):
            await one.command("message:send", to="CLAUDE-two", text="only for two")
            quick = HubQuick(address)
            state = await asyncio.to_thread(quick.state)
            told = json.dumps([state, await asyncio.to_thread(quick.events)])
            assert "token_hash" not in told and address.token not in told
            tokens = [file.read_text() for file in paths.instances_dir.glob("*/token")]
            assert len(tokens) == 2 and not any(token in told for token in tokens)
            async with await join(address, "three") as three:
                seq = engine.last_seq
                for client, count in ((one, 1), (two, 1), (three, 0)):
                    await client.command("broadcast", event="note:mark", data={})
                    texts = []
                    async for event in client.events(after=0):
                        texts += [event.data["text"]] if event.type == "message:sent" else []
                        if event.seq > seq:
                            break
                    assert len(texts) == count
        for file in (paths.hub_json, paths.hub_socket):
            assert not file.exists()
        for file in [paths.log_db, *paths.instances_dir.glob("*/token"), paths.state_dir / "joining.key"]:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600

    asyncio.run(main())


def test_the_runtime_files_are_ours_alone(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            assert stat.S_IMODE(paths.hub_json.stat().st_mode) == 0o600
            assert stat.S_IMODE(paths.hub_socket.stat().st_mode) == 0o600
            assert stat.S_IMODE(paths.runtime_dir.stat().st_mode) == 0o700
            assert await asyncio.to_thread(find_hub, paths) == address
        assert await asyncio.to_thread(find_hub, paths) is None

    asyncio.run(main())


def test_a_runtime_folder_of_somebody_else_is_refused(paths: WorkspacePaths) -> None:
    paths.runtime_dir.mkdir(mode=0o700)
    paths.runtime_dir.chmod(0o777)

    async def main() -> None:
        with pytest.raises(HubUnavailable, match="only you"):
            async with open_hub(paths, port=0):
                pass

    asyncio.run(main())


def test_a_second_hub_is_refused_and_a_stale_record_is_replaced(paths: WorkspacePaths) -> None:
    async def main() -> None:
        paths.create()
        paths.hub_json.write_text('{"pid": 1, "start_time": 1.0, "url": "x", "socket": "y", "token": "z"}')
        paths.hub_socket.write_text("stale")
        async with open_hub(paths, port=0) as (address, _):
            with pytest.raises(HubUnavailable) as caught:
                async with open_hub(paths, port=0):
                    pass
            assert caught.value.code == "hub.running"
            assert await asyncio.to_thread(find_hub, paths) == address

    asyncio.run(main())


def test_a_busy_port_is_refused_when_it_was_asked_for_and_replaced_when_not() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(HubUnavailable, match="cannot be used") as caught:
            open_loopback(taken.getsockname()[1])
        assert caught.value.exit_code == 5
    first = open_loopback(None)
    first.listen()
    second = open_loopback(None)
    assert second.getsockname()[1] != first.getsockname()[1]
    first.close()
    second.close()


def test_a_server_that_ends_before_it_answers_is_an_error_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def end_at_once(*_: Any, **__: Any) -> None:
        return

    async def main() -> None:
        with open_loopback(0) as listener:
            server = HubServer(lambda *_: end_at_once(), [listener])
            async with asyncio.timeout(60):
                await server.open()

    monkeypatch.setattr(uvicorn.Server, "serve", end_at_once)
    with pytest.raises(HubUnavailable, match="ended before it answered"):
        asyncio.run(main())


def test_an_answer_over_tcp_never_waits_for_the_receiver_to_confirm_the_one_before() -> None:
    async def main() -> int:
        accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        class Look(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                raw = transport.get_extra_info("socket")
                accepted.set_result(raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                transport.close()  # the loop may end before the client's end is noticed

        server = await asyncio.get_running_loop().create_server(Look, sock=open_loopback(0))
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            is_set = await accepted
            writer.close()
        return is_set

    assert asyncio.run(main()) != 0


@pytest.mark.parametrize("text", ["-1", "65536", "http", "９９"])
def test_a_port_that_is_none_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="AEGIS_PORT"):
        parse_port(text)


def test_an_agent_that_left_is_known_no_more(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            client: EnsembleClient = await join(address, "one")
            token = (paths.instances_dir / "one" / "token").read_text()
            async with client:
                await client.command("agent:leave")
                with pytest.raises(Refused) as caught:
                    await client.command("context:get")
                assert caught.value.code == "unauthorized"
            old = EnsembleClient(f"unix:{address.socket}", token=token)
            with pytest.raises(Refused):
                async with old:
                    pass
            async with await join(address, "one") as again:
                await again.command("context:get")

    asyncio.run(main())


def test_a_fault_of_the_hub_is_told_as_one_and_logged(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_engine: Engine) -> None:
        raise RuntimeError("Symlink loop")

    monkeypatch.setattr(Engine, "context", broken)

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            with pytest.raises(AegisError, match=r"the hub failed on this request \(RuntimeError\)") as caught:
                await asyncio.to_thread(HubQuick(address).state)
            assert (caught.value.code, caught.value.hint) == ("internal", "see logs/hub.log in the state folder")

    asyncio.run(main())
    assert "Symlink loop" in caplog.text


def test_schemas_and_metrics_are_served(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            _, openapi = await asyncio.to_thread(ask, address, "GET", "/openapi.json", None, {})
            _, asyncapi = await asyncio.to_thread(ask, address, "GET", "/asyncapi.json", None, {})
            for document in (openapi, asyncapi):
                text = json.dumps(document)
                names = document["components"]["schemas"].keys()
                for part in text.split('"$ref": "#/components/schemas/')[1:]:
                    assert part.split('"')[0] in names
                assert "token_hash" not in text
                assert {"LockAcquire", "LockAcquired", "Command", "Event"} <= names
            assert "/v1/commands" in openapi["paths"]

            def metrics() -> str:
                host, port = address.url.removeprefix("http://").split(":")
                connection = http.client.HTTPConnection(host, int(port), timeout=5)
                connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {address.token}"})
                text = connection.getresponse().read().decode()
                connection.close()
                return text

            assert "aegis_hub_seq 0" in await asyncio.to_thread(metrics)

    asyncio.run(main())


def test_a_hub_whose_log_is_damaged_does_not_start_and_says_why(paths: WorkspacePaths) -> None:
    paths.create()
    Path(paths.log_db).write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)

    async def main() -> None:
        with pytest.raises(StoreError, match=r"log\.db"):
            async with open_hub(paths, port=0):
                pass

    asyncio.run(main())
