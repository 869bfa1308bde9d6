"""Locks on regions through the whole hub: files are looked at, not guessed (LOCK-1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.symbols.reader import FileSymbols
from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.domain.lock.events import LockMoved
from aegis_tui.domain.lock.region import blob_id
from aegis_tui.domain.workspace import state_hash
from aegis_tui.errors import AegisError, LockHeld, StaleToken, UsageError
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.recovery import recover
from aegis_tui.hub.regions import MAX_FILE_BYTES, RegionService, read_text
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.discovery import WorkspacePaths

CODE = "import os\n\n\ndef first():\n    return 1\n\n\ndef second():\n    return 2\n"
GROWN = CODE.replace("    return 1\n", "    one = 1\n    return one\n")
Scene = Callable[[EnsembleClient, EnsembleClient, Path, Engine], Coroutine[Any, Any, None]]
Play = Callable[[Scene], None]


@pytest.fixture
def play(paths: WorkspacePaths, tmp_path: Path, join: Any) -> Play:
    """Runs a scene with two agents that a person joined in one checkout."""
    root = tmp_path / "repo"
    root.mkdir()
    (root / "a.py").write_text(CODE)

    def run(scene: Scene) -> None:
        async def scenario() -> None:
            service = RegionService(root, FileSymbols())
            async with open_hub(paths, port=0, services=[service]) as (address, engine):
                one, other = await join(address, "one"), await join(address, "other")
                async with one, other:
                    await scene(one, other, root, engine)

        asyncio.run(scenario())

    return run


def oid(text: str) -> str:
    return blob_id(text.encode())


async def write(client: EnsembleClient, root: Path, token: int, before: str, after: str) -> None:
    (root / "a.py").write_text(after)
    data = {"file": "a.py", "token": token, "base_oid": oid(before), "new_oid": oid(after)}
    await client.command("broadcast", event="code:written", data=data)


def test_two_symbols_of_one_file_are_held_and_written_at_once_and_move(play: Play) -> None:
    async def scene(one: EnsembleClient, other: EnsembleClient, root: Path, engine: Engine) -> None:
        first = await one.acquire_lock("a.py", symbol="first")
        second = await other.acquire_lock("a.py", symbol="second")
        await write(one, root, first.token, CODE, GROWN)
        events = await engine.events(0, 100)
        moved = [event.data for event in events if isinstance(event.data, LockMoved)]
        assert [(item.lock_id, item.spans, item.base_oid) for item in moved] == [
            (first.lock_id, ((4, 6),), oid(GROWN)),
            (second.lock_id, ((9, 10),), oid(GROWN)),
        ]
        with pytest.raises(LockHeld):
            await one.acquire_lock("a.py", lines=(9, 9))
        inside = await one.acquire_lock("a.py", lines=(5, 5))
        assert inside.lock_id == first.lock_id, "what is held already is not granted again"
        await write(other, root, second.token, GROWN, GROWN.replace("return 2", "return 3"))
        replayed = await recover(engine._log, now=0.0)
        assert state_hash(replayed) == await engine.read(state_hash)

    play(scene)


def test_a_write_outside_of_its_region_is_refused(play: Play) -> None:
    async def scene(one: EnsembleClient, other: EnsembleClient, root: Path, engine: Engine) -> None:
        lock = await one.acquire_lock("a.py", symbol="first")
        with pytest.raises(StaleToken) as refused:
            await write(one, root, lock.token, CODE, CODE.replace("return 2", "return 3"))
        assert "outside first" in refused.value.message
        assert not [event for event in await engine.events(0, 100) if event.type == "code:written"]

    play(scene)


def test_lines_and_a_symbol_meet_only_where_their_lines_do(play: Play) -> None:
    async def scene(one: EnsembleClient, other: EnsembleClient, root: Path, engine: Engine) -> None:
        await one.acquire_lock("a.py", symbol="first")
        assert (await other.acquire_lock("a.py", lines=(8, 9))).region == "8-9"
        with pytest.raises(LockHeld):
            await other.acquire_lock("a.py", lines=(5, 6))
        with pytest.raises(LockHeld):
            await one.acquire_lock("a.py", symbol="second")
        assert (await other.acquire_lock("a.py", symbol="<imports>")).region == "<imports>"
        with pytest.raises(LockHeld):
            await one.acquire_lock("a.py")

    play(scene)


def test_lines_of_a_changed_file_are_compared_through_what_is_the_same(play: Play) -> None:
    async def scene(one: EnsembleClient, other: EnsembleClient, root: Path, engine: Engine) -> None:
        await one.acquire_lock("a.py", lines=(8, 9))
        (root / "a.py").write_text(GROWN)
        assert (await other.acquire_lock("a.py", lines=(1, 3))).region == "1-3"
        with pytest.raises(LockHeld):
            await other.acquire_lock("a.py", lines=(9, 10))
        with pytest.raises(LockHeld):
            await other.acquire_lock("a.py", lines=(5, 6))

    play(scene)


def test_what_is_not_there_is_told_with_what_is(play: Play) -> None:
    async def scene(one: EnsembleClient, other: EnsembleClient, root: Path, engine: Engine) -> None:
        (root / "out.py").symlink_to(root.parent / "secret.py")
        (root.parent / "secret.py").write_text("x = 1\n")
        refusals: list[tuple[dict[str, Any], str]] = [
            ({"path": "a.py", "symbol": "secnd"}, "no symbol secnd"),
            ({"path": "a.py", "lines": (8, 10)}, "has only 9 lines"),
            ({"path": "none.py", "lines": (1, 1)}, "no file none.py"),
            ({"path": "out.py", "lines": (1, 1)}, "no file out.py"),
            ({"path": "../a.py", "symbol": "f"}, "cannot be locked"),
            ({"path": "a.py", "lines": (1, 1), "symbol": "f"}, "cannot be locked"),
        ]
        for fields, told in refusals:
            with pytest.raises(UsageError) as refused:
                await one.command("lock:acquire", **fields)
            assert told in refused.value.message
        with pytest.raises(UsageError) as refused:
            await one.acquire_lock("a.py", symbol="secnd")
        assert "second" in refused.value.hint and refused.value.data["symbols"][0] == "second"

    play(scene)


def test_a_file_that_does_not_parse_is_locked_as_a_whole_and_that_is_said(play: Play) -> None:
    async def scene(one: EnsembleClient, other: EnsembleClient, root: Path, engine: Engine) -> None:
        (root / "a.py").write_text("def first(:\n")
        reply = await one.command("lock:acquire", path="a.py", symbol="first")
        assert (reply["whole"], reply["locks"][0]["region"]) == (["a.py"], None)
        with pytest.raises(LockHeld):
            await other.acquire_lock("a.py", lines=(1, 1))

    play(scene)


def test_many_regions_are_had_in_one_request_or_none(play: Play) -> None:
    async def scene(one: EnsembleClient, other: EnsembleClient, root: Path, engine: Engine) -> None:
        wanted = [{"path": "a.py", "symbol": "first"}, {"path": "a.py", "lines": [8, 9]}, {"path": "b.py"}]
        reply = await one.command("lock:acquire", resources=wanted)
        assert [(lock["path"], lock["region"]) for lock in reply["locks"]] == [
            ("a.py", "8-9"),
            ("a.py", "first"),
            ("b.py", None),
        ]
        with pytest.raises(LockHeld):
            await other.command("lock:acquire", resources=[{"path": "a.py", "lines": [1, 1]}, {"path": "b.py"}])
        assert (await other.acquire_lock("a.py", lines=(1, 1))).region == "1-1"

    play(scene)


def test_what_the_hub_fills_in_cannot_be_sent(play: Play) -> None:
    async def scene(one: EnsembleClient, other: EnsembleClient, root: Path, engine: Engine) -> None:
        pinned = [{"path": "a.py", "region": {"symbol": "x"}, "views": []}]
        rewrite = {"base_oid": "a", "new_oid": "b", "hunks": []}
        forged: list[tuple[str, dict[str, Any]]] = [
            ("lock:acquire", {"path": "a.py", "pinned": pinned}),
            ("lock:acquire", {"path": "a.py", "whole": ["a.py"]}),
            ("broadcast", {"event": "code:written", "data": {}, "rewrite": rewrite}),
        ]
        for name, fields in forged:
            with pytest.raises(UsageError, match="only the hub fills in"):
                await one.command(name, **fields)

    play(scene)


def test_what_has_no_lines_to_follow_is_locked_as_a_whole(play: Play) -> None:
    async def scene(one: EnsembleClient, other: EnsembleClient, root: Path, engine: Engine) -> None:
        (root / "big.py").write_bytes(b"x\n" * MAX_FILE_BYTES)
        (root / "latin.py").write_bytes("# coding: latin-1\ndef f():\n    return 'é'\n".encode("latin-1"))
        (root / "bin.py").write_bytes(b"\xff\xfe\0\n")
        for wanted in (
            {"path": "big.py", "lines": [1, 1]},
            {"path": "latin.py", "symbol": "f"},
            {"path": "bin.py", "symbol": "f"},
        ):
            reply = await one.command("lock:acquire", **wanted)
            assert (reply["whole"], reply["locks"][0]["region"]) == ([wanted["path"]], None)
        assert read_text(root, "big.py") is None

    play(scene)


def test_lines_of_a_file_that_is_no_utf8_are_lines(play: Play) -> None:
    async def scene(one: EnsembleClient, other: EnsembleClient, root: Path, engine: Engine) -> None:
        (root / "latin.txt").write_bytes("eins\nzwei é\ndrei\n".encode("latin-1"))
        assert (await one.acquire_lock("latin.txt", lines=(2, 2))).region == "2-2"
        assert (await other.acquire_lock("latin.txt", lines=(3, 3))).region == "3-3"

    play(scene)


def test_a_parser_that_breaks_is_an_answer_and_not_a_silence(paths: WorkspacePaths, tmp_path: Path, join: Any) -> None:
    class Broken:
        def outline(self, path: str, text: str) -> None:
            raise RuntimeError(text)

    (tmp_path / "a.py").write_text(CODE)

    async def scenario() -> None:
        async with (
            open_hub(paths, port=0, services=[RegionService(tmp_path, Broken())]) as (address, _),
            await join(address, "one") as one,
        ):
            with pytest.raises(AegisError) as failed:
                await one.command("lock:acquire", path="a.py", symbol="first", timeout_s=20)
            assert failed.value.code == "internal"
            assert (await one.acquire_lock("a.py", lines=(4, 5))).region == "4-5"

    asyncio.run(scenario())
