"""Writes under locks on regions are fenced by what the hub can see, whatever comes between (LOCK-1, LOCK-3)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.symbols.reader import FileSymbols
from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.domain.lock.region import blob_id
from aegis_tui.errors import LockHeld, StaleToken
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.regions import RegionService
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.discovery import WorkspacePaths

CODE = "import os\n\n\ndef first():\n    return 1\n\n\ndef second():\n    return 2\n"
GROWN = CODE.replace("    return 1\n", "    one = 1\n    return one\n")


class Place:
    """A checkout that three agents of a person share, and its hub."""

    def __init__(self, root: Path, paths: WorkspacePaths, join: Any) -> None:
        self.root, self.paths, self.join = root, paths, join

    @asynccontextmanager
    async def hub(self, *names: str) -> AsyncIterator[tuple[Engine, list[EnsembleClient]]]:
        service = RegionService(self.root, FileSymbols())
        async with open_hub(self.paths, port=0, services=[service]) as (address, engine):
            clients = [await self.join(address, name) for name in names]
            for client in clients:
                await client.connect()
            yield engine, clients
            for client in clients:
                await client.close()

    def save(self, text: str, name: str = "a.py") -> None:
        (self.root / name).write_bytes(text.encode())


@pytest.fixture
def place(paths: WorkspacePaths, tmp_path: Path, join: Any) -> Place:
    found = Place(tmp_path / "repo", paths, join)
    found.root.mkdir()
    found.save(CODE)
    return found


def oid(text: str) -> str:
    return blob_id(text.encode())


async def tell(client: EnsembleClient, token: int, base: str | None, new: str, name: str = "a.py") -> None:
    data = {"file": name, "token": token, "new_oid": oid(new), **({} if base is None else {"base_oid": base})}
    await client.command("broadcast", event="code:written", data=data)


async def someone_waits(engine: Engine) -> None:
    async for _ in engine.changes():
        if await engine.read(lambda workspace: workspace.locks.waits()):
            return


async def spans(engine: Engine, lock_id: str, content: str) -> tuple[Any, ...] | None:
    lock = await engine.read(lambda workspace: workspace.locks.find(lock_id))
    assert lock is not None
    return next((view.spans for view in lock.resource.views if view.base_oid == oid(content)), None)


@pytest.mark.parametrize("base", [None, "0" * 40, oid(GROWN)])
def test_a_write_whose_base_the_hub_does_not_know_is_refused(place: Place, base: str | None) -> None:
    async def scene() -> None:
        async with place.hub("one", "other") as (engine, (one, other)):
            mine = await one.acquire_lock("a.py", symbol="first")
            await other.acquire_lock("a.py", symbol="second")
            stolen = CODE.replace("return 2", "return 3")
            place.save(stolen)
            with pytest.raises(StaleToken, match="the hub cannot determine"):
                await tell(one, mine.token, base, stolen)
            assert "code:written" not in [event.type for event in await engine.events(0, 100)]

    asyncio.run(scene())


def test_regions_are_fenced_and_followed_after_a_restart_of_the_hub(place: Place) -> None:
    async def scene() -> None:
        async with place.hub("one", "other") as (_, (one, other)):
            first = await one.acquire_lock("a.py", symbol="first")
            second = await other.acquire_lock("a.py", symbol="second")
        async with place.hub("one", "other") as (engine, (one, _)):
            place.save(GROWN)
            await tell(one, first.token, oid(CODE), GROWN)
            assert await spans(engine, second.lock_id, GROWN) == ((9, 10),)
            stolen = GROWN.replace("return 2", "return 3")
            place.save(stolen)
            with pytest.raises(StaleToken, match="outside first"):
                await tell(one, first.token, oid(GROWN), stolen)

    asyncio.run(scene())


def test_lines_that_were_waited_for_are_granted_where_they_are_now(place: Place) -> None:
    async def scene() -> None:
        async with place.hub("one", "other", "third") as (engine, (one, other, third)):
            mine = await one.acquire_lock("a.py", lines=(4, 5))
            await third.acquire_lock("a.py", lines=(8, 9))
            waiting = asyncio.create_task(other.acquire_lock("a.py", lines=(5, 6), wait_s=30))
            await someone_waits(engine)
            place.save(GROWN)
            await tell(one, mine.token, oid(CODE), GROWN)
            await one.release_lock(mine.lock_id, mine.token)
            granted = await waiting
            assert granted.region == "5-7"
            stolen = GROWN.replace("return 2", "return 3")
            place.save(stolen)
            with pytest.raises(StaleToken, match="outside 5-7"):
                await tell(other, granted.token, oid(GROWN), stolen)

    asyncio.run(scene())


def test_a_symbol_that_got_another_name_while_it_was_waited_for_is_not_held_twice(place: Place) -> None:
    async def scene() -> None:
        async with place.hub("one", "other") as (engine, (one, other)):
            mine = await one.acquire_lock("a.py", symbol="first")
            waiting = asyncio.create_task(other.acquire_lock("a.py", symbol="first", wait_s=30))
            await someone_waits(engine)
            renamed = CODE.replace("def first", "def renamed")
            place.save(renamed)
            await tell(one, mine.token, oid(CODE), renamed)
            await one.release_lock(mine.lock_id, mine.token)
            await waiting
            with pytest.raises(LockHeld):
                await one.acquire_lock("a.py", symbol="renamed")

    asyncio.run(scene())


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_contents_are_known_by_the_ids_that_git_gives_them(place: Place, algorithm: str) -> None:
    def gits(text: str) -> str:
        raw = text.encode()
        return hashlib.new(algorithm, b"blob %d\0" % len(raw) + raw).hexdigest()

    async def scene() -> None:
        before, after = CODE.replace("\n", "\r\n"), GROWN.replace("\n", "\r\n")
        async with place.hub("one", "other") as (engine, (one, other)):
            place.save(before)
            first = await one.acquire_lock("a.py", symbol="first")
            second = await other.acquire_lock("a.py", symbol="second")
            place.save(after)
            data = {"file": "a.py", "token": first.token, "base_oid": gits(CODE), "new_oid": gits(GROWN)}
            await one.command("broadcast", event="code:written", data=data)
            assert await spans(engine, second.lock_id, after) == ((9, 10),)

    asyncio.run(scene())


def test_a_write_below_a_locked_directory_moves_regions_of_its_own_file_only(place: Place) -> None:
    async def scene() -> None:
        (place.root / "src").mkdir()
        for name in ("src/a.py", "src/b.py"):
            place.save(CODE, name)
        async with place.hub("one") as (engine, (one,)):
            kept = await one.acquire_lock("src/b.py", symbol="first")
            folder = await one.acquire_lock("src")
            place.save(CODE.replace("def first", "def renamed"), "src/a.py")
            await tell(one, folder.token, oid(CODE), CODE.replace("def first", "def renamed"), "src/a.py")
            lock = await engine.read(lambda workspace: workspace.locks.find(kept.lock_id))
            assert lock is not None and not lock.stale

    asyncio.run(scene())


def test_a_region_that_its_holder_removed_keeps_nobody_out(place: Place) -> None:
    async def scene() -> None:
        async with place.hub("one", "other") as (_, (one, other)):
            mine = await one.acquire_lock("a.py", lines=(4, 5))
            removed = CODE.replace("def first():\n    return 1\n", "")
            place.save(removed)
            await tell(one, mine.token, oid(CODE), removed)
            assert (await other.acquire_lock("a.py", lines=(1, 1))).region == "1-1"

    asyncio.run(scene())


def test_a_retry_gets_its_first_answer_though_the_symbol_is_gone(place: Place) -> None:
    async def scene() -> None:
        async with place.hub("one") as (_, (one,)):
            first = await one.command("lock:acquire", path="a.py", symbol="first", request_id="again")
            place.save(CODE.replace("def first", "def renamed"))
            assert await one.command("lock:acquire", path="a.py", symbol="first", request_id="again") == first

    asyncio.run(scene())


def test_a_path_is_the_same_in_either_unicode_form(place: Place) -> None:
    async def scene() -> None:
        spelled = "e\u0301.py"
        place.save(CODE, spelled)
        async with place.hub("one") as (_, (one,)):
            grant = await one.acquire_lock(spelled, symbol="first")
            place.save(GROWN, spelled)
            await tell(one, grant.token, oid(CODE), GROWN, spelled)
            assert await one.command("lock:release", path=spelled, token=grant.token)

    asyncio.run(scene())


def test_what_gives_a_request_up_never_overtakes_it(place: Place) -> None:
    async def scene() -> None:
        async with place.hub("one") as (engine, (one,)):
            for number in range(20):
                name = f"r{number}"
                wanted = asyncio.create_task(one.command("lock:acquire", path="a.py", symbol="first", request_id=name))
                await asyncio.sleep(0)
                reply = await one.command("lock:release", request=name)
                (lock,) = (await wanted)["locks"]
                assert reply["released"] == [lock["lock_id"]]
            assert await engine.read(lambda workspace: workspace.locks.locks()) == []

    asyncio.run(scene())


def test_a_request_that_is_sent_twice_at_once_is_decided_once(place: Place) -> None:
    async def scene() -> None:
        async with place.hub("one") as (engine, (one,)):
            again = (one.command("lock:acquire", path="a.py", symbol="first", request_id="same") for _ in range(2))
            first, second = await asyncio.gather(*again)
            assert first == second
            assert len(await engine.read(lambda workspace: workspace.locks.locks())) == 1

    asyncio.run(scene())
