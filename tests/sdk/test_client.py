import asyncio
import gc
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.domain.decision import THE_PERSON
from aegis_tui.errors import HubUnavailable, LockHeld, StaleToken, UsageError
from aegis_tui.hub.engine import Engine
from aegis_tui.ports.hub_link import HubEvent, HubLink
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.clock import SystemClock
from aegis_tui.sdk.discovery import WorkspacePaths


def test_the_client_is_a_hub_link() -> None:
    link: HubLink = EnsembleClient("unix:/nowhere", token="t")
    assert link is not None


def test_a_queued_lock_is_granted_to_the_second_client_when_the_first_lets_go(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with (
            open_hub(paths, port=0) as (address, _),
            await join(address, "one") as one,
            await join(address, "two") as two,
        ):
            first = await one.acquire_lock("a.py", lines=(1, 9))
            with pytest.raises(LockHeld) as caught:
                await two.acquire_lock("a.py", lines=(9, 20))
            assert caught.value.data["held_by"] == "CLAUDE-one"
            assert caught.value.exit_code == 4
            waiting = asyncio.create_task(two.acquire_lock("a.py", wait_s=30))
            async with aclosing(one.events(types=["lock:queued"], after=0)) as events:
                assert (await anext(events)).agent_id == "CLAUDE-two"
            assert not waiting.done()
            await one.renew_lock(first.lock_id, first.token)
            await one.release_lock(first.lock_id, first.token)
            second = await waiting
            assert second.token > first.token and second.path == "a.py" and second.expires_in_s > 0
            with pytest.raises(StaleToken):
                await one.renew_lock(first.lock_id, first.token)

    asyncio.run(main())


def test_commands_and_streams_go_on_over_a_restart_of_the_hub(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            client: EnsembleClient = await join(address, "one")
            person = EnsembleClient.for_workspace(paths)
            await client.command("broadcast", event="note:n", data={"n": 0})
            seen: list[HubEvent] = []

            async def follow() -> None:
                async with aclosing(person.events(after=0)) as events:
                    async for event in events:
                        seen.append(event)
                        if event.data.get("event") == "note:end":
                            return

            following = asyncio.create_task(follow())
        queued = asyncio.create_task(client.command("broadcast", event="note:n", data={"n": 1}))
        await asyncio.sleep(0.1)
        assert not queued.done()
        async with open_hub(paths, port=0) as (_, engine):
            await queued
            await person.command("broadcast", event="note:end", data={})
            await asyncio.wait_for(following, 10)
            assert [event.seq for event in seen] == list(range(1, engine.last_seq + 1))
            assert [event.data["data"]["n"] for event in seen if event.data.get("event") == "note:n"] == [0, 1]
            await client.close()
            await person.close()

    asyncio.run(main())


def test_a_stream_from_now_on_misses_nothing_that_was_logged_while_it_was_cut_off(
    paths: WorkspacePaths, join: Any
) -> None:
    note = {"type": "broadcast", "event": "note:n", "data": {}}

    async def main() -> None:
        seen: list[int] = []
        async with open_hub(paths, port=0) as (address, engine):
            client: EnsembleClient = await join(address, "one")
            stop = client.on("broadcast", lambda event: seen.append(event.seq))
            async with asyncio.timeout(10):
                while not seen:
                    await engine.submit(note, THE_PERSON)
                    await asyncio.to_thread(time.sleep, 0.01)
        alone = Engine(SqliteEventLog(paths.log_db), SystemClock())
        await alone.open()
        for _ in range(5):
            await alone.submit(note, THE_PERSON)
        await alone.close()
        async with open_hub(paths, port=0) as (_, engine), asyncio.timeout(10):
            while seen[-1] < engine.last_seq:
                await asyncio.to_thread(time.sleep, 0.01)
            assert seen == list(range(seen[0], engine.last_seq + 1))
            stop()
            await client.close()

    asyncio.run(main())


def test_a_wait_for_a_lock_survives_a_restart_of_the_hub(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            one: EnsembleClient = await join(address, "one")
            two: EnsembleClient = await join(address, "two")
            first = await one.acquire_lock("a.py")
            waiting = asyncio.create_task(two.acquire_lock("a.py", wait_s=30))
            async with aclosing(one.events(types=["lock:queued"], after=0)) as events:
                await anext(events)
        async with open_hub(paths, port=0):
            await one.release_lock(first.lock_id, first.token)
            second = await asyncio.wait_for(waiting, 10)
            assert second.token > first.token
            await one.close()
            await two.close()

    asyncio.run(main())


def test_a_hub_that_is_away_is_waited_for_only_so_long(tmp_path: Path) -> None:
    async def main() -> None:
        client = EnsembleClient(f"unix:{tmp_path}/no.sock", token="t", offline_s=0.2)
        with pytest.raises(HubUnavailable) as caught:
            await client.command("context:get")
        assert caught.value.exit_code == 5 and "hub status" in caught.value.hint
        with pytest.raises(HubUnavailable):
            async with client:
                pass
        await client.close()
        with pytest.raises(HubUnavailable, match="closed"):
            await client.command("context:get")
        with pytest.raises(HubUnavailable, match="not the address"):
            await EnsembleClient("ftp://hub", token="t", offline_s=0).command("context:get")

    asyncio.run(main())


def test_a_deadline_of_the_caller_ends_a_wait(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with (
            open_hub(paths, port=0) as (address, _),
            await join(address, "one") as one,
            await join(address, "two") as two,
        ):
            await one.acquire_lock("a.py")
            with pytest.raises(HubUnavailable, match="no answer"):
                await two.command("lock:acquire", path="a.py", wait_s=30, timeout_s=0.2)

    asyncio.run(main())


def test_a_held_lock_is_renewed_and_let_go_with_its_block(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with (
            open_hub(paths, port=0) as (address, _),
            await join(address, "one") as one,
            await join(address, "two") as two,
        ):
            async with one.lock("a.py", ttl_s=0.6) as grant:
                async with aclosing(two.events(types=["lock:renewed"], after=0)) as events:
                    for _ in range(3):
                        await anext(events)
                with pytest.raises(LockHeld):
                    await two.acquire_lock("a.py")
            assert (await two.acquire_lock("a.py")).token > grant.token

    asyncio.run(main())


def test_handlers_hear_of_their_events_and_a_failing_one_hears_the_next(
    paths: WorkspacePaths, join: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _), await join(address, "one") as one:
            types: list[str] = []
            files: list[str] = []
            done = asyncio.Event()

            def on_note(event: HubEvent) -> None:
                types.append(event.type)
                if len(types) == 1:
                    raise ZeroDivisionError

            async def on_file(event: HubEvent) -> None:
                files.append(event.data["path"])
                done.set()

            one.on("broadcast", on_note)
            stop = one.subscribe_file("src/*.py", on_file)
            async with asyncio.timeout(10):
                while not done.is_set() or len(types) < 2:
                    await one.broadcast_change("note:n", n=1)
                    grant = await one.acquire_lock("src/a.py")
                    await one.release_lock(grant.lock_id, grant.token)
                    await one.command("lock:acquire", path="docs/a.md")
            assert set(files) == {"src/a.py"}
            stop()
        assert "an event handler failed" in caplog.text

    asyncio.run(main())


def test_a_command_that_fails_twice_leaves_nothing_that_nobody_asks_about(
    paths: WorkspacePaths, join: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader may notice a dead connection before the sender does; both then fail the same command."""

    async def main() -> None:
        unseen: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
        async with open_hub(paths, port=0) as (address, _), await join(address, "one") as client:
            connection = await client._channel.connected()
            send = connection.send

            async def die_first(text: str) -> None:
                monkeypatch.setattr(connection, "send", send)
                client._channel._lose(connection, HubUnavailable("gone"))
                raise HubUnavailable("gone")

            monkeypatch.setattr(connection, "send", die_first)
            assert (await client.command("context:get"))["seq"] == 1
            gc.collect()
        assert unseen == []

    asyncio.run(main())


def test_the_shared_context_is_kept_for_when_the_hub_is_away(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            client: EnsembleClient = await join(address, "one")
            await client.acquire_lock("a.py")
            context = await client.get_shared_context()
            assert context["locks"]["a.py"]["agent_id"] == "CLAUDE-one"
        assert client.cached_context == context
        await client.close()

    asyncio.run(main())


def test_the_environment_of_a_pane_is_enough(paths: WorkspacePaths, join: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            await join(address, "one")
            token_file = str(paths.instances_dir / "one" / "token")
            for url in (f"unix:{address.socket}", address.url):
                environ = {"AEGIS_HUB": url, "AEGIS_TOKEN_FILE": token_file}
                async with EnsembleClient.from_environment(environ) as client:
                    assert (await client.command("agent:register", agent_type="CLAUDE"))["agent_id"] == "CLAUDE-one"

    asyncio.run(main())
    with pytest.raises(UsageError, match="not set"):
        EnsembleClient.from_environment({})
    with pytest.raises(UsageError, match="cannot read"):
        EnsembleClient.from_environment({"AEGIS_HUB": "unix:/x", "AEGIS_TOKEN_FILE": str(tmp_path / "absent")})
