import asyncio
import json
import socket
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import unix_connect

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.domain.decision import THE_PERSON
from aegis_tui.errors import UsageError
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.fanout import Fanout
from aegis_tui.hub.interest import Interest
from aegis_tui.ports.hub_link import HubEvent
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.clock import SystemClock
from aegis_tui.sdk.connection import Endpoint, open_connection
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress
from aegis_tui.sdk.quick import open_connection as open_http
from aegis_tui.sdk.wire import encode_frame


def person(address: HubAddress) -> EnsembleClient:
    return EnsembleClient(f"unix:{address.socket}", token=address.token)


async def take(client: EnsembleClient, count: int, **options: Any) -> list[HubEvent]:
    """The next `count` events of a new stream."""
    found: list[HubEvent] = []
    async with asyncio.timeout(20), aclosing(client.events(**options)) as events:
        async for event in events:
            found.append(event)
            if len(found) == count:
                break
    return found


def test_a_late_joiner_gets_each_event_once_while_others_are_written(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _), person(address) as client:

            async def write() -> None:
                for number in range(400):
                    await client.command("broadcast", event="note:n", data={"n": number})

            writing = asyncio.create_task(write())
            takes = []
            for start in range(0, 100, 10):
                while not writing.done() and (await client.command("context:get"))["seq"] < start:
                    pass
                takes.append(asyncio.create_task(take(client, 400 - start, after=start)))
            for start, found in zip(range(0, 100, 10), await asyncio.gather(*takes), strict=True):
                assert [event.seq for event in found] == list(range(start + 1, 401))
            await writing

    asyncio.run(main())


def test_a_stalled_receiver_delays_nobody_and_is_told_what_it_missed(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_tui.hub.fanout.MAX_QUEUED_EVENTS", 50)
    total = 600

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _), person(address) as client:
            raw = socket.socket(socket.AF_UNIX)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.setblocking(False)
            await asyncio.get_running_loop().sock_connect(raw, address.socket)
            stalled = await unix_connect(
                uri="ws://localhost/v1/stream", sock=raw, compression=None, max_queue=1, max_size=None
            )
            await stalled.send(json.dumps({"type": "hello", "token": address.token, "after": 0}))
            await stalled.recv()
            stalled.transport.pause_reading()
            healthy = asyncio.create_task(take(client, total, after=0))
            for number in range(total):
                await client.command("broadcast", event="note:n", data={"n": number, "pad": "x" * 2000})
            assert [event.seq for event in await healthy] == list(range(1, total + 1))
            assert not stalled.transport.is_reading()  # all was said and told while it took nothing
            stalled.transport.resume_reading()
            seen: list[int] = []
            resyncs: list[dict[str, Any]] = []
            while len(seen) < total:
                frame = json.loads(await asyncio.wait_for(stalled.recv(), 10))
                if frame["type"] == "resync":
                    resyncs.append(frame)
                    assert frame["from_seq"] == seen[-1]
                else:
                    seen.append(frame["seq"])
            assert seen == list(range(1, total + 1))
            assert resyncs and resyncs[0]["dropped"] > 0
            await stalled.close()

    asyncio.run(main())


def test_a_receiver_that_takes_nothing_for_too_long_is_dropped(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_tui.hub.stream.SEND_DEADLINE_S", 0.3)

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _), person(address) as client:
            stalled = await unix_connect(address.socket, "ws://localhost/v1/stream", compression=None, max_queue=1)
            await stalled.send(json.dumps({"type": "hello", "token": address.token}))
            await stalled.recv()
            stalled.transport.pause_reading()
            async with asyncio.timeout(20):
                while True:
                    await client.command("broadcast", event="note:n", data={"pad": "x" * 50_000})
                    metrics = await asyncio.to_thread(_subscribers, address)
                    if metrics == 1:
                        break
            stalled.transport.abort()

    asyncio.run(main())


def _subscribers(address: HubAddress) -> int:
    connection = open_http(f"unix:{address.socket}", 5)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {address.token}"})
    text = connection.getresponse().read().decode()
    connection.close()
    return int(text.split("\naegis_hub_subscribers ")[1].split()[0])


def test_an_event_that_was_read_from_the_log_before_it_was_published_comes_once(tmp_path: Path) -> None:
    committed, may_publish = asyncio.Event(), asyncio.Event()

    class Slow(SqliteEventLog):
        async def append(self, events: Any, replies: Any) -> None:
            await super().append(events, replies)
            committed.set()
            await may_publish.wait()

    async def main() -> None:
        engine = Engine(Slow(tmp_path / "log.db"), SystemClock())
        await engine.open()
        subscriber = Fanout(engine).join(THE_PERSON)
        answer = engine.enqueue({"type": "broadcast", "event": "note:n", "data": {}}, THE_PERSON)
        await committed.wait()
        subscriber.listen(Interest.everything(), after=0)
        async with asyncio.timeout(5), aclosing(subscriber.messages()) as messages:
            assert (await anext(messages)).seq == 1
            following = asyncio.ensure_future(anext(messages))
            await asyncio.to_thread(time.sleep, 0.05)
            may_publish.set()
            await answer
            await engine.submit({"type": "broadcast", "event": "note:n", "data": {}}, THE_PERSON)
            assert (await following).seq == 2
        await engine.close()

    asyncio.run(main())


def test_what_is_sent_at_once_never_overtakes_what_waits(tmp_path: Path) -> None:
    async def main() -> None:
        engine = Engine(SqliteEventLog(tmp_path / "log.db"), SystemClock())
        await engine.open()
        subscriber = Fanout(engine).join(THE_PERSON)
        subscriber.listen(Interest.everything())
        keeps_up, written = True, []

        def write_now(frame: bytes) -> bool:
            if keeps_up:
                written.append(json.loads(frame[frame.index(b"{") :])["seq"])
            return keeps_up

        async def note() -> None:
            await engine.submit({"type": "broadcast", "event": "note:n", "data": {}}, THE_PERSON)

        async with asyncio.timeout(5), aclosing(subscriber.messages(write_now)) as messages:
            following = asyncio.ensure_future(anext(messages))
            await asyncio.sleep(0)
            await note()
            keeps_up = False
            await note()
            in_hand = await following
            keeps_up = True
            await note()
            assert (written, in_hand.seq) == ([1], 2)
            assert (await anext(messages)).seq == 3
            following = asyncio.ensure_future(anext(messages))
            await asyncio.sleep(0)
            await note()
            assert written == [1, 4] and not following.done()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        await engine.close()

    asyncio.run(main())


@pytest.mark.parametrize("is_live", [True, False])
def test_a_message_reaches_its_two_ends_and_the_person_only(paths: WorkspacePaths, join: Any, is_live: bool) -> None:
    async def hear(client: EnsembleClient, until: str) -> list[str]:
        heard: list[str] = []
        async with aclosing(client.events(after=0)) as events:
            async for event in events:
                heard.append(event.data.get("event", event.type))
                if len(heard) in marks and heard[-1] == "note:live":
                    marks[len(heard)] += 1
                if heard[-1] == until:
                    return heard
        raise AssertionError("the stream ended")

    marks = {4: 0, 5: 0}

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _), person(address) as boss:
            clients = [await join(address, name) for name in ("one", "two", "other")]
            ids = [(await client.connect()).agent_id for client in clients]
            everybody = [*clients, boss]
            hearing = [asyncio.create_task(hear(client, "note:end")) for client in everybody if is_live]
            for mark in marks if is_live else ():
                await boss.command("broadcast", event="note:live", data={})
                async with asyncio.timeout(5):
                    while marks[mark] < len(everybody):
                        await asyncio.to_thread(time.sleep, 0.005)
            await clients[0].command("message:send", to=ids[1], text="hello")
            await boss.command("broadcast", event="note:end", data={})
            hearing = hearing or [asyncio.create_task(hear(client, "note:end")) for client in everybody]
            async with asyncio.timeout(5):
                heard = await asyncio.gather(*hearing)
            assert ["message:sent" in types for types in heard] == [True, True, False, True]
            for client in clients:
                await client.close()

    asyncio.run(main())


def test_types_and_globs_choose_what_comes(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _), person(address) as client:
            await client.command("broadcast", event="plan:proposed", data={"files": ["src/x.py"]})
            await client.command("broadcast", event="fix:suggested", data={"file": "docs/a.md"})
            await client.command("lock:acquire", path="src/b.py")
            await client.command("lock:acquire", path="docs/b.md")
            await client.command("broadcast", event="note:end", data={})

            async def chosen(**options: Any) -> list[int]:
                found: list[int] = []
                options["types"] = [*options.get("types", ()), "note:end"]
                async with aclosing(client.events(after=0, **options)) as events:
                    async for event in events:
                        found.append(event.seq)
                        if event.seq == 5:
                            break
                return found[:-1]

            assert await chosen(types=["plan:*"]) == [1]
            assert await chosen(types=["lock:acquired"]) == [3, 4]
            assert await chosen(types=["lock:*", "fix:suggested"]) == [2, 3, 4]
            assert await chosen(paths=["src/**"]) == [1, 3]
            assert await chosen(paths=["docs/*.md"]) == [2, 4]

    asyncio.run(main())


def test_subscriptions_of_the_contract_work_on_one_connection(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            endpoint = Endpoint(f"unix:{address.socket}", address.token)
            stream, newest = await open_connection(endpoint)
            assert newest == 0
            await stream.send(encode_frame({"type": "file:subscribe", "path": "src/**", "request_id": "a"}))
            assert (await stream.receive())["ok"]
            await stream.send(encode_frame({"type": "file:subscribe", "path": "../up", "request_id": "b"}))
            assert (await stream.receive())["error"]["code"] == "glob"
            await stream.send(encode_frame({"type": "lock:acquire", "path": "docs/a.md", "request_id": "c"}))
            await stream.send(encode_frame({"type": "lock:acquire", "path": "src/a.py", "request_id": "d"}))
            frames = [await stream.receive() for _ in range(3)]
            assert [frame["seq"] for frame in frames if "ok" not in frame] == [2]
            await stream.send(encode_frame({"type": "subscribe", "types": ["lock:*"], "after": 0, "request_id": "e"}))
            frames = [await stream.receive() for _ in range(3)]
            assert [frame["seq"] for frame in frames if "ok" not in frame] == [1, 2]
            await stream.send(encode_frame({"type": "subscribe", "after": 99, "request_id": "f"}))
            assert (await stream.receive())["error"]["code"] == "after.unknown"
            await stream.close()
            with pytest.raises(UsageError):
                await open_connection(endpoint, after=99)

    asyncio.run(main())


def test_a_place_in_the_log_that_was_compacted_away_becomes_a_snapshot(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteEventLog.__init__, "__kwdefaults__", {"kept_events": 10})

    async def main() -> None:
        async with open_hub(paths, port=0, snapshot_events=30) as (address, engine), person(address) as client:
            async with asyncio.timeout(10):
                while engine.first_seq == 1:
                    await client.command("broadcast", event="note:n", data={})
            first, *rest = await take(client, 1, after=0)
            assert first.type == "context:sync" and first.seq == engine.last_seq and not rest
            assert first.data["snapshot"] is not None

    asyncio.run(main())
