import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.domain.decision import THE_PERSON
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress, HubQuick


async def hello(address: HubAddress, **fields: Any) -> ClientConnection:
    stream = await unix_connect(address.socket, "ws://localhost/v1/stream", compression=None)
    await stream.send(json.dumps({"type": "hello", "token": address.token, **fields}))
    return stream


def test_the_stream_refuses_browsers_strangers_and_the_silent(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_tui.hub.stream.HELLO_DEADLINE_S", 0.3)

    async def refused(stream: ClientConnection) -> int:
        with pytest.raises(ConnectionClosed) as caught:
            await asyncio.wait_for(stream.recv(), 5)
        await stream.close()
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            url = address.url.replace("http", "ws") + "/v1/stream"
            port = int(address.url.rpartition(":")[2])
            for strange in (
                connect(url, origin=Origin("https://evil.example")),
                connect(f"ws://evil.example:{port}/v1/stream", host="127.0.0.1", port=port),
            ):
                with pytest.raises(InvalidStatus) as caught:
                    await strange
                assert caught.value.response.status_code == 403
            assert await refused(await connect(url)) == 1008
            for first in ('{"type": "hello", "token": "wrong"}', '{"type": "hello"}', '{"type": "context:get"}', "no"):
                stream = await connect(url)
                await stream.send(first)
                assert await refused(stream) == 1008
            stream = await hello(address)
            await stream.recv()
            with suppress(ConnectionClosed):
                await stream.send("x" * (2 << 20))
            assert await refused(stream) == 1009

    asyncio.run(main())


def test_a_plain_client_says_hello_sends_commands_and_hears_events(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            stream = await hello(address, after=0)
            welcome = json.loads(await stream.recv())
            assert welcome["ok"] and welcome["agent_id"] == "person"
            await stream.send("not json")
            assert json.loads(await stream.recv())["error"]["code"] == "usage"
            await stream.send(json.dumps({"v": 1, "request_id": "a", "type": "lock:acquire", "path": "a.py"}))
            frames = [json.loads(await stream.recv()) for _ in range(2)]
            reply = next(frame for frame in frames if "ok" in frame)
            event = next(frame for frame in frames if "ok" not in frame)
            assert reply["request_id"] == "a" and reply["ok"]
            assert (event["type"], event["seq"], event["data"]["path"]) == ("lock:acquired", 1, "a.py")
            await stream.close()
            url = address.url.replace("http", "ws") + "/"
            bearer = {"Authorization": f"Bearer {address.token}"}
            async with connect(url, additional_headers=bearer) as by_header:
                await by_header.send(json.dumps({"request_id": "b", "type": "context:get"}))
                assert json.loads(await by_header.recv())["request_id"] == "b"

    asyncio.run(main())


def test_who_sends_and_does_not_read_is_read_no_more_until_it_does(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine):
            for number in range(10):
                await engine.submit({"type": "lock:acquire", "path": f"src/{number}.py"}, THE_PERSON, f"l{number}")
            stream = await unix_connect(address.socket, "ws://localhost/v1/stream", compression=None, max_queue=1)
            await stream.send(json.dumps({"type": "hello", "token": address.token, "types": []}))
            await stream.recv()
            count, pad = 6_000, "x" * 500
            asked = [
                json.dumps({"request_id": f"q{number}{pad}"[:190], "type": "context:get"}) for number in range(count)
            ]
            sending = asyncio.create_task(_send_all(stream, asked))
            before = -1
            while engine.commands != before:
                before = engine.commands
                await asyncio.sleep(0.3)
            assert before < count and not sending.done()
            assert (await asyncio.to_thread(HubQuick(address).command, "context:get"))["locks"]
            got = [json.loads(await stream.recv())["request_id"] for _ in range(count)]
            await sending
            assert sorted(got) == sorted(json.loads(text)["request_id"] for text in asked)
            await stream.close()

    asyncio.run(main())


async def _send_all(stream: ClientConnection, texts: list[str]) -> None:
    for text in texts:
        await stream.send(text)


def test_messages_that_are_no_text_are_refused_or_end_the_connection(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            stream = await hello(address, types=[])
            await stream.recv()
            await stream.send(b'{"type": "context:get"}')
            assert json.loads(await stream.recv())["error"]["code"] == "usage"
            await stream.send('{"type": "lock:acquire", "path": "\\ud800.py", "request_id": "half"}')
            half = json.loads(await stream.recv())
            assert (half["request_id"], half["error"]["code"]) == ("half", "usage")
            await stream.send(["[1,", " 2]"])
            assert json.loads(await stream.recv())["error"]["code"] == "usage"
            await stream.send(['{"request_id": "a", "type": ', '"context:get"}'])
            assert json.loads(await stream.recv())["request_id"] == "a"
            await stream.send(b"\xff\xfe", text=True)
            with pytest.raises(ConnectionClosed) as caught:
                await asyncio.wait_for(stream.recv(), 5)
            assert caught.value.rcvd is not None and caught.value.rcvd.code == 1007

    asyncio.run(main())


def test_a_refused_lock_is_told_to_the_asker_only_and_without_a_seq(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with (
            open_hub(paths, port=0) as (address, _),
            await join(address, "one") as one,
            await join(address, "two"),
        ):
            await one.acquire_lock("a.py")
            token = await asyncio.to_thread((paths.instances_dir / "one" / "token").read_text)
            other = await asyncio.to_thread((paths.instances_dir / "two" / "token").read_text)
            watcher = await hello(address, token=token)
            asker = await hello(address, token=other, types=[])
            await watcher.recv()
            await asker.recv()
            await asker.send('{"type": "lock:acquire", "path": "a.py", "request_id": "x"}')
            failed, reply = [json.loads(await asker.recv()) for _ in range(2)]
            assert failed["type"] == "lock:failed" and "seq" not in failed
            assert failed["data"]["code"] == "HELD" and failed["data"]["held_by"] == "CLAUDE-one"
            assert 0 < reply["error"]["expires_in_s"] <= 600
            await asker.send('{"type": "broadcast", "event": "note:end", "request_id": "y"}')
            kinds = []
            while "broadcast" not in kinds:
                kinds.append(json.loads(await watcher.recv())["type"])
            assert "lock:failed" not in kinds
            await watcher.close()
            await asker.close()

    asyncio.run(main())
