"""The writer on a real hub: no write under a region that says nothing of the content it replaces (LOCK-1, LOCK-3)."""

from __future__ import annotations

import asyncio
import io
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.symbols.reader import FileSymbols
from aegis_tui.agent.fenced_writes import FencedWrites
from aegis_tui.agent.files import OwnWorktree, replace_once
from aegis_tui.agent.git import Git
from aegis_tui.agent.locks import HeldLocks, name_of
from aegis_tui.agent.newest import NewestContent
from aegis_tui.agent.pane import Pane
from aegis_tui.agent.progress import Progress
from aegis_tui.agent.scope import WriteScope
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.settings import InstanceScope
from aegis_tui.agent.writer import Change, Writer
from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.domain.lock.region import blob_id
from aegis_tui.errors import LockHeld, UsageError
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.regions import RegionService
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress, HubQuick

CODE = "import os\n\n\ndef first():\n    return 1\n\n\ndef second():\n    return 2\n"


@dataclass
class Room:
    """Two agents that a person joined in one checkout; `one` writes as the built-in agent does."""

    root: Path
    engine: Engine
    one: Writer
    other: EnsembleClient

    async def lock(self, **part: Any) -> str:
        grant = await self.one.lock("a.py", **{"lines": None, "symbol": None, "wait_s": 1, **part})
        return name_of(grant)

    async def edit(self, old: str, new: str, path: str = "a.py") -> Change:
        return await self.one.change(path, lambda text: replace_once(text or "", old, new))

    def run_command(self, text: str, path: str = "a.py") -> None:
        """What a command of the model's, a formatter or a merge does: the hub hears nothing of it."""
        (self.root / path).write_text(text)

    def mine(self) -> list[str]:
        return [name_of(grant) for grant in self.one.locks.grants()]

    def held(self) -> list[str]:
        locks = self.engine.peek(lambda workspace: workspace.locks.locks())
        return [str(lock.resource) for lock in locks if lock.agent_id == "CLAUDE-one" and not lock.stale]

    async def data(self, event_type: str) -> list[dict[str, Any]]:
        events = await self.engine.events(0, 1000)
        return [event.data.model_dump() for event in events if event.type == event_type]


Scene = Callable[[Room], Coroutine[Any, Any, None]]
Play = Callable[[Scene], None]


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds, at the next step of the loop; the scene's own deadline bounds the wait."""
    while True:
        if condition():
            return
        await asyncio.sleep(0)


async def join(address: HubAddress, name: str) -> EnsembleClient:
    def register() -> str:
        reply = HubQuick(address).command("agent:register", agent_type="CLAUDE", instance_id=name)
        return Path(reply["token_file"]).read_text()

    return EnsembleClient(f"unix:{address.socket}", token=await asyncio.to_thread(register), offline_s=5.0)


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[WorkspacePaths]:
    runtime = Path(tempfile.mkdtemp(prefix="aw", dir="/tmp"))
    yield WorkspacePaths("0123456789ab", tmp_path / "state", runtime / "k")
    shutil.rmtree(runtime)


@pytest.fixture
def on_hub(paths: WorkspacePaths, tmp_path: Path) -> Play:
    root = tmp_path / "repo"
    root.mkdir()
    (root / "a.py").write_text(CODE)

    def run(scene: Scene) -> None:
        async def scenario() -> None:
            service = RegionService(root, FileSymbols())
            async with asyncio.timeout(20), open_hub(paths, port=0, services=[service]) as (address, engine):
                one, other = await join(address, "one"), await join(address, "other")
                async with one, other:
                    screen, scope = Screen(Pane(io.StringIO())), InstanceScope(joint=("**",))
                    worktree = OwnWorktree(root)
                    writes = FencedWrites(worktree, HeldLocks(one), one, Progress(one, screen), screen)
                    newest = NewestContent(Git(root), worktree, one, {})
                    writer = Writer(WriteScope("CLAUDE-one", scope), writes, newest, FileSymbols())
                    await scene(Room(root, engine, writer, other))

        asyncio.run(scenario())

    return run


def test_a_lock_on_lines_is_kept_when_a_command_changes_other_lines(on_hub: Play) -> None:
    async def scene(room: Room) -> None:
        assert await room.lock(lines=(4, 5)) == "a.py:4-5"
        room.run_command(CODE + "# more\n")
        await room.edit("return 1", "return 11")
        assert room.mine() == room.held() == ["a.py:4-5"]
        assert room.one.take_news() == []

    on_hub(scene)


def test_a_lock_on_lines_goes_where_a_command_moved_them_and_that_is_told(on_hub: Play) -> None:
    async def scene(room: Room) -> None:
        await room.lock(lines=(4, 5))
        room.run_command("# licence\n" + CODE)
        await room.edit("return 2", "return 22")
        assert room.mine() == room.held() == ["a.py:5-6"]
        assert room.one.take_news() == ["your lock on a.py:4-5 covers a.py:5-6 now, because the file was changed"]
        assert room.one.take_news() == []

    on_hub(scene)


def test_a_lock_on_lines_that_a_command_took_away_is_gone_and_that_is_told(on_hub: Play) -> None:
    async def scene(room: Room) -> None:
        await room.lock(lines=(4, 5))
        room.run_command("import os\n\n\ndef both():\n    return 2\n")
        await room.edit("return 2", "return 22")
        assert room.mine() == room.held() == []
        assert "you lost the lock on a.py:4-5" in room.one.take_news()[0]

    on_hub(scene)


def test_an_edit_is_fenced_by_lines_that_are_known_in_what_it_replaces(on_hub: Play) -> None:
    twice = CODE + "\n\ndef first():\n    return 7\n"

    async def scene(room: Room) -> None:
        await room.lock(symbol="first")
        room.run_command(twice)
        await room.edit("return 7", "x = 7\n    return x")
        assert room.mine() == room.held() == ["a.py:first"]
        moved = (await room.data("lock:moved"))[-1]
        assert moved["spans"] == ((4, 5), (12, 14))
        with pytest.raises(LockHeld):
            await room.other.acquire_lock("a.py", lines=(14, 14))

    on_hub(scene)


def test_a_region_that_cannot_be_taken_again_is_told_and_the_edit_takes_its_own(on_hub: Play) -> None:
    async def scene(room: Room) -> None:
        await room.lock(symbol="first")
        waiting = asyncio.ensure_future(room.other.acquire_lock("a.py", symbol="first", wait_s=10))
        await until(lambda: bool(room.engine.peek(lambda workspace: workspace.locks.waits())))
        room.run_command("# licence\n" + CODE)
        await room.edit("return 2", "return 22")
        assert (await waiting).region == "first"
        assert room.mine() == room.held() == []
        assert "you lost the lock on a.py:first" in room.one.take_news()[0]

    on_hub(scene)


def test_a_lock_asked_for_again_after_a_command_is_on_the_present_lines(on_hub: Play) -> None:
    async def scene(room: Room) -> None:
        await room.lock(symbol="first")
        room.run_command("# licence\n" + CODE)
        assert await room.lock(symbol="first") == "a.py:first"
        assert room.held() == ["a.py:first"]
        newest = (await room.data("lock:acquired"))[-1]
        assert newest["base_oid"] == blob_id(("# licence\n" + CODE).encode())

    on_hub(scene)


def test_the_hub_sees_writes_of_a_file_that_git_would_convert(on_hub: Play) -> None:
    async def scene(room: Room) -> None:
        (room.root / ".gitattributes").write_text("* text=auto\n")
        (room.root / "a.py").write_bytes(CODE.replace("\n", "\r\n").encode())
        await room.lock(symbol="second")
        await room.edit("    return 2", "    x = 2\n    return x")
        assert [item["spans"] for item in await room.data("lock:moved")] == [((8, 10),)]

    on_hub(scene)


def test_a_turn_that_is_interrupted_while_the_hub_is_told_leaves_the_file_as_it_was(on_hub: Play) -> None:
    async def scene(room: Room) -> None:
        editing = asyncio.ensure_future(room.edit("return 2", "return 22"))
        await until(lambda: (room.root / "a.py").read_text() != CODE)
        editing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await editing
        assert (room.root / "a.py").read_text() == CODE
        assert room.mine() == []
        await room.edit("return 2", "return 22")
        assert "return 22\n" in (room.root / "a.py").read_text()

    on_hub(scene)


@pytest.mark.parametrize("name", ["a\u00a0b.py", "Screenshot 3.00\u202fPM.py", unicodedata.normalize("NFD", "é.py")])
def test_a_file_is_written_under_a_lock_whatever_spaces_and_letters_its_name_has(on_hub: Play, name: str) -> None:
    async def scene(room: Room) -> None:
        room.run_command(CODE, name)
        await room.one.lock(name, lines=(4, 5), symbol=None, wait_s=1)
        await room.edit("return 1", "return 11", name)
        assert len(room.mine()) == 1
        await room.one.locks.release(name)
        assert room.held() == []

    on_hub(scene)


@pytest.mark.parametrize("name", ["a\u200db.py", "a\\b.py", "a\x1b.py"])
def test_a_name_that_no_lock_can_be_taken_on_is_refused_with_a_hint(on_hub: Play, name: str) -> None:
    async def scene(room: Room) -> None:
        room.run_command(CODE, name)
        for attempt in (
            room.edit("return 1", "return 11", name),
            room.one.lock(name, lines=None, symbol=None, wait_s=1),
            room.one.lock(name, lines=None, symbol="first", wait_s=1),
        ):
            with pytest.raises(UsageError, match="no lock can be taken") as caught:
                await attempt
            assert "rename" in caught.value.hint
        assert (room.root / name).read_text() == CODE

    on_hub(scene)


def test_a_file_in_another_encoding_is_edited_under_the_lock_of_the_whole(on_hub: Play) -> None:
    text = "# -*- coding: latin-1 -*-\ndef f():\n    return 'é'\n"

    async def scene(room: Room) -> None:
        (room.root / "a.py").write_bytes(text.encode("latin-1"))
        assert await room.lock(symbol="f") == "a.py"
        await room.one.locks.release("a.py")
        change = await room.edit("return 'é'", "return 'éß'")
        assert "not UTF-8" in change.note
        assert (room.root / "a.py").read_bytes() == text.replace("é", "éß").encode("latin-1")
        with pytest.raises(UsageError, match="iso-8859-1, which has no"):
            await room.edit("ß", "漢")
        assert room.mine() == []

    on_hub(scene)
