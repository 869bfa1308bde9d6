"""Commands while the hub is away: in order, bounded, each for `offline_s` (HUB-6)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.domain.event import type_fits as domain_type_fits
from aegis_tui.domain.model import SCHEMA_VERSION
from aegis_tui.errors import HubUnavailable, Refused, UsageError
from aegis_tui.hub.guard import MAX_BODY_BYTES, too_large
from aegis_tui.sdk import channel
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.wire import WIRE_VERSION, encode_frame, type_fits


def test_what_was_asked_while_the_hub_was_away_is_sent_in_that_order(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            client: EnsembleClient = await (await join(address, "one")).connect()
        asked = [asyncio.create_task(client.broadcast_change("note:n", n=number)) for number in range(30)]
        await asyncio.sleep(0.3)
        assert not any(task.done() for task in asked)
        async with open_hub(paths, port=0) as (_, engine):
            newer = asyncio.create_task(client.broadcast_change("note:n", n=30))
            await asyncio.gather(*asked, newer)
            told = [event.data for event in await engine.events(0, 1000) if event.type == "broadcast"]
            assert [data.model_dump()["data"]["n"] for data in told] == list(range(31))
            await client.close()

    asyncio.run(main())


def test_only_so_many_commands_wait_for_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "MAX_QUEUED", 3)

    async def main() -> None:
        client = EnsembleClient(f"unix:{tmp_path}/no.sock", token="t")
        waiting = [asyncio.create_task(client.command("context:get")) for _ in range(3)]
        await asyncio.sleep(0.05)
        with pytest.raises(HubUnavailable, match="3 commands are already waiting") as caught:
            await client.command("context:get")
        assert caught.value.code == "hub.queue"
        await client.close()
        assert all(isinstance(item, HubUnavailable) for item in await asyncio.gather(*waiting, return_exceptions=True))

    asyncio.run(main())


def test_each_command_waits_for_its_own_time(tmp_path: Path) -> None:
    async def main() -> None:
        client = EnsembleClient(f"unix:{tmp_path}/no.sock", token="t", offline_s=0.6)
        ended: list[int] = []

        async def ask(number: int) -> None:
            with pytest.raises(HubUnavailable):
                await client.command("context:get")
            ended.append(number)

        first = asyncio.create_task(ask(1))
        await asyncio.sleep(0.3)
        second = asyncio.create_task(ask(2))
        await first
        assert ended == [1]
        await second
        await client.close()

    asyncio.run(main())


def test_what_is_too_large_or_no_json_is_refused_before_it_is_sent(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine), await join(address, "one") as client:
            with pytest.raises(Refused, match="over 1 MiB") as caught:
                await client.broadcast_change("note:n", n="x" * 2_000_000)
            assert (caught.value.code, caught.value.message) == (too_large().code, too_large().message)
            for value in ({1, 2}, float("inf"), object()):
                with pytest.raises(UsageError, match="JSON"):
                    await client.broadcast_change("note:n", n=value)
            await client.broadcast_change("note:n", n="x" * 60_000)
            assert engine.last_seq > 0

    asyncio.run(main())


def test_the_limits_and_words_of_both_ends_are_the_same() -> None:
    assert WIRE_VERSION == SCHEMA_VERSION
    for pattern in ("*", ">", "lock:*", "lock:failed", "specs.*", "specs.>", "lock", ""):
        for name in ("lock:failed", "specs.created", "broadcast"):
            assert type_fits(pattern, name) == domain_type_fits(pattern, name)


def test_a_frame_that_ends_the_connection_is_not_sent_for_ever(
    paths: WorkspacePaths, join: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a hub whose limit is lower than ours; what else was asked is answered."""
    monkeypatch.setattr("aegis_tui.sdk.wire.MAX_FRAME_BYTES", 4 * MAX_BODY_BYTES)

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _), await join(address, "one") as client:
            large = asyncio.create_task(client.broadcast_change("note:n", n="x" * 2_000_000))
            small = asyncio.create_task(client.broadcast_change("note:n", n=1))
            async with asyncio.timeout(20):
                with pytest.raises(Refused, match="because of a frame of 2000"):
                    await large
                await small

    asyncio.run(main())


def test_a_connection_that_ends_at_once_is_no_hub_that_is_back(tmp_path: Path) -> None:
    """A server that says hello and hangs up at the first command: `offline_s` holds all the same."""
    socket = tmp_path / "s"

    async def main() -> None:
        from websockets.asyncio.server import ServerConnection, unix_serve

        async def hang_up(connection: ServerConnection) -> None:
            await connection.recv()
            await connection.send(encode_frame({"ok": True, "type": "hello", "agent_id": "x", "seq": 0}))
            await connection.recv()
            connection.transport.abort()

        async with unix_serve(hang_up, str(socket)):
            client = EnsembleClient(f"unix:{socket}", token="t", offline_s=0.5)
            async with asyncio.timeout(20):
                with pytest.raises(HubUnavailable):
                    await client.command("context:get")
            await client.close()

    asyncio.run(main())


def test_an_address_that_is_none_is_said_at_once() -> None:
    async def main() -> None:
        for url in ("http://127.0.0.1:99999", "http://[bad", "ftp://hub", "127.0.0.1:9999"):
            client = EnsembleClient(url, token="t")
            with pytest.raises(HubUnavailable, match="not the address"):
                await client.connect()
            with pytest.raises(HubUnavailable, match="not the address"):
                await client.command("context:get")
            with pytest.raises(HubUnavailable, match="not the address"):
                await anext(client.events())
            await client.close()

    asyncio.run(main())
