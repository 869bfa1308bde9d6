"""Handlers: what they hear, and what becomes of streams that the hub refuses (HUB-6)."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any

import pytest

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.errors import HubUnavailable, LockHeld, Refused, UsageError
from aegis_tui.ports.hub_link import HubEvent
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.discovery import WorkspacePaths


def test_a_pattern_that_cannot_be_used_is_refused_at_the_call() -> None:
    async def main() -> None:
        client = EnsembleClient("unix:/nowhere", token="t")
        for pattern in ("", "x" * 101):
            with pytest.raises(UsageError, match="not an event type"):
                client.on(pattern, print)
            with pytest.raises(UsageError, match="not an event type"):
                await anext(client.events(types=[pattern]))
        with pytest.raises(UsageError, match="lists"):
            await anext(client.events(types="lock:*"))
        with pytest.raises(Refused):
            client.subscribe_file("[", print)
        await client.close()
        with pytest.raises(HubUnavailable, match="closed"):
            client.on("*", print)

    asyncio.run(main())


def test_a_stream_that_the_hub_refuses_later_is_logged_and_kept(
    paths: WorkspacePaths, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        unseen: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
        async with open_hub(paths, port=0) as (address, _):
            client = EnsembleClient(f"unix:{address.socket}", token="nobody's")
            subscription = client.on("*", print)
            async with asyncio.timeout(10):
                while subscription.error is None:
                    await asyncio.to_thread(time.sleep, 0.005)
            assert isinstance(subscription.error, Refused) and subscription.error.code == "unauthorized"
            await client.close()
        gc.collect()
        assert unseen == [] and "a subscription has ended" in caplog.text

    asyncio.run(main())


def test_a_refused_lock_is_told_to_the_handlers_of_its_asker(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with (
            open_hub(paths, port=0) as (address, _),
            await join(address, "one") as one,
            await join(address, "two") as two,
        ):
            heard: dict[str, list[HubEvent]] = {"lock:failed": [], "lock:*": [], "*": [], "broadcast": []}
            for pattern, events in heard.items():
                two.on(pattern, lambda event, events=events: events.append(event))
            files: list[HubEvent] = []
            two.subscribe_file("src/*.py", files.append)
            await one.acquire_lock("src/a.py")
            with pytest.raises(LockHeld):
                await two.acquire_lock("src/a.py")
            async with asyncio.timeout(10):
                while not all("lock:failed" in [item.type for item in heard[name]] for name in ("lock:failed", "*")):
                    await asyncio.to_thread(time.sleep, 0.005)
            failed = heard["lock:failed"]
            assert [(item.data["code"], item.data["held_by"], item.seq) for item in failed] == [
                ("HELD", "CLAUDE-one", 0)
            ]
            assert heard["broadcast"] == []
            assert "lock:failed" in [item.type for item in heard["lock:*"]]
            assert "lock:failed" in [item.type for item in files]

    asyncio.run(main())


def test_a_client_may_be_closed_by_its_own_handler(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            client: EnsembleClient = await join(address, "one")
            other: EnsembleClient = await join(address, "two")
            ended = asyncio.Event()

            async def close(event: HubEvent) -> None:
                await client.close()
                ended.set()

            client.on("broadcast", close)
            client.on("broadcast", close)
            async with asyncio.timeout(10):
                while not ended.is_set():
                    await other.broadcast_change("note:n")
                    await asyncio.to_thread(time.sleep, 0.005)
                while client._tasks:
                    await asyncio.to_thread(time.sleep, 0.005)
            with pytest.raises(HubUnavailable, match="closed"):
                await client.command("context:get")
            await other.close()

    asyncio.run(main())


def test_a_kept_context_is_not_changed_by_who_was_given_it(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _), await join(address, "one") as one:
            for _ in range(2):
                (await one.get_shared_context(max_age_s=600))["locks"]["evil"] = {}
            assert "evil" not in (await one.get_shared_context(max_age_s=600))["locks"]

    asyncio.run(main())
