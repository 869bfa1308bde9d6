"""Questions on the screens of programs: each is recorded once, and answered only while it is there (PANE-4, PANE-5)."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import tomllib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.tmux.terminal import TmuxTerminal
from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.domain.instance.commands import AgentReport, InstanceAnswer
from aegis_tui.domain.instance.model import Instance, Phase
from aegis_tui.domain.need import needs
from aegis_tui.errors import Refused, TerminalError, UsageError
from aegis_tui.hub.engine import Engine
from aegis_tui.orchestrator.screen_watch import ScreenWatch
from aegis_tui.ports.terminal import PaneSpec
from tests.orchestrator.run_bench import Bench

KIND = Path(__file__).resolve().parents[2] / "aegis_tui" / "adapters" / "agents" / "kinds" / "claude-code.toml"
RULES = KindFile.model_validate(tomllib.loads(KIND.read_text("utf-8"))).screen
PROGRAM = Path(__file__).with_name("asking_program.py")
pytestmark = pytest.mark.anyio


class Place:
    """A hub with one instance, `w01`, whose pane shows what `asking_program` draws."""

    def __init__(self, folder: Path, engine: Engine, terminal: TmuxTerminal, bench: Bench) -> None:
        self.folder, self.engine, self.terminal, self.bench = folder, engine, terminal, bench
        self.watch = ScreenWatch(terminal, engine, lambda kind: RULES)

    def ask(self, number: int, command: str = "touch made.txt") -> None:
        part = self.folder / f"part-of-{number}"
        part.write_text(command)
        part.rename(self.folder / f"ask-{number}")

    async def until(self, check: Callable[[Instance], Any]) -> Instance:
        """The instance as soon as `check` holds for it."""
        async with asyncio.timeout(20):
            async for _ in self.engine.changes():
                item = await self.engine.read(lambda workspace: workspace.instances.by_id["NATIVE-w01"].model_copy())
                if check(item):
                    return item
        raise AssertionError("the changes ended")

    async def asked(self) -> str:
        item = await self.until(lambda item: item.asks)
        assert item.asks is not None
        return item.asks.prompt

    async def answer(self, prompt: str, choice: int) -> dict[str, Any]:
        """As the hub does: type it, and then log it."""
        command = InstanceAnswer(agent_id="w01", prompt=prompt, choice=choice)
        return dict(await self.engine.submit(await self.watch.answer(command), THE_PERSON))

    async def chosen(self, number: int) -> str:
        file = self.folder / f"chosen-{number}"
        async with asyncio.timeout(10):
            while not file.exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.02)
        return file.read_text()

    def told(self) -> list[bool]:
        """For each time that the log says something about the screen, whether there is a question on it."""
        return [event.data.model_dump()["asks"] is not None for event in self.bench.events("instance:asking")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def joined(bench: Bench, engine: Engine) -> None:
    """Let w01 and w02 join, in panes in memory: only the state matters here."""
    bench.plays = {"w01": lambda item: "joined", "w02": lambda item: "joined"}
    await bench.start(engine)
    workflow, playing = bench.open_workflow(engine), asyncio.create_task(bench.play(engine))
    await workflow.start()
    async with asyncio.timeout(20):
        async for _ in engine.changes():
            phases = await engine.read(lambda workspace: [item.phase for item in workspace.instances.alive()])
            if phases == [Phase.JOINED, Phase.JOINED]:
                break
    playing.cancel()
    await workflow.stop()
    await asyncio.gather(playing, return_exceptions=True)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    if shutil.which("tmux") is None:
        pytest.skip("missing: tmux")
    bench = Bench(tmp_path, agent_mode="terminal")
    engine = bench.open_engine()
    await engine.open()
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMUX_TMPDIR") if name in os.environ}
    name = f"aegis-test-{secrets.token_hex(6)}"
    terminal = TmuxTerminal(name, config_dir=tmp_path / "tmux", environment=environment)
    folder = tmp_path / "program"
    folder.mkdir()
    watching: asyncio.Task[None] | None = None
    try:
        await joined(bench, engine)
        await terminal.start()
        argv = (sys.executable, str(PROGRAM), str(folder))
        await terminal.open_pane(PaneSpec(instance="w01", argv=argv, cwd=folder))
        here = Place(folder, engine, terminal, bench)
        watching = asyncio.create_task(here.watch.run())
        yield here
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.wait([watching])
        await terminal.stop_server()
        await engine.close()


async def test_a_question_is_a_need_once_and_is_answered_by_its_number(place: Place) -> None:
    place.ask(1)
    prompt = await place.asked()
    item = await place.until(lambda item: item.word == "asking")
    assert item.state != "asking" and prompt == "w01-p1"
    (need,) = [need for need in await place.engine.read(needs) if need.kind == "permission"]
    assert need.words == "w01 asks on its screen: Bash command touch made.txt Do you want to proceed?"
    assert need.choices == ("Yes", "Yes, and always allow it", "No") and need.name == "w01"
    reply = await place.answer(prompt, 3)
    assert reply["delivery"] == "delivered" and await place.chosen(1) == "No"
    await place.until(lambda item: item.asks is None and item.word != "asking")
    assert place.told() == [True]
    (answered,) = place.bench.events("instance:answered")
    assert answered.data.model_dump()["choice"] == "No" and answered.agent_id == "NATIVE-w01"


async def test_the_same_question_again_is_another_need(place: Place) -> None:
    for number in (1, 2):
        place.ask(number)
        prompt = await place.asked()
        assert prompt == f"w01-p{number}"
        await place.answer(prompt, 1)
        assert await place.chosen(number) == "Yes"
    with pytest.raises(Refused, match="does not ask this any more"):
        await place.answer("w01-p2", 1)


async def test_an_answer_to_a_question_that_is_gone_is_not_typed(place: Place) -> None:
    place.ask(1)
    prompt = await place.asked()
    (place.folder / "vanish").touch()
    place.ask(2, "rm -rf /")
    async with asyncio.timeout(10):
        while "rm -rf" not in await shown(place):  # noqa: ASYNC110 - tmux does not tell
            await asyncio.sleep(0.02)
    with pytest.raises(Refused, match="nothing was typed"):
        await place.answer(prompt, 1)
    other = await place.until(lambda item: item.asks and item.asks.prompt != prompt)
    assert not (place.folder / "chosen-2").exists()
    assert other.asks is not None and "rm -rf /" in other.asks.screen.words
    await place.answer(other.asks.prompt, 3)
    assert await place.chosen(2) == "No"


async def shown(place: Place) -> str:
    pane = await place.terminal.find_pane("w01")
    assert pane is not None
    return "\n".join((await place.terminal.capture([pane.pane_id]))[pane.pane_id].lines)


async def test_a_question_that_a_person_answers_in_the_pane_is_no_need_any_more(place: Place) -> None:
    place.ask(1)
    await place.asked()
    pane = await place.terminal.find_pane("w01")
    assert pane is not None and await place.terminal.press(pane.pane_id, "Enter")
    assert await place.chosen(1) == "Yes"
    await place.until(lambda item: item.asks is None)
    assert place.told() == [True, False] and not place.bench.events("instance:answered")


async def test_what_an_agent_writes_is_no_choice_and_stays_text(place: Place) -> None:
    """Lines that look like choices above the real ones are part of the question; escape sequences do nothing."""
    place.ask(1, "echo\r\n   1. Fine\r\n   2. Fine too\x1b]0;title\x07\u202e")
    prompt = await place.asked()
    item = await place.until(lambda item: item.asks)
    assert item.asks is not None and item.asks.screen.choices == ("Yes", "Yes, and always allow it", "No")
    assert "1. Fine 2. Fine too" in item.asks.screen.words and not {"\x1b", "\u202e"} & set(item.asks.screen.words)
    with pytest.raises(UsageError, match="no choice 4"):
        await place.answer(prompt, 4)
    await place.answer(prompt, 2)
    assert await place.chosen(1) == "Yes, and always allow it"


async def test_nothing_is_typed_while_a_person_reads_the_history_of_the_pane(place: Place) -> None:
    place.ask(1)
    prompt = await place.asked()
    argv = ["tmux", "-L", place.terminal.socket_name, "copy-mode", "-t", "w01"]
    process = await asyncio.create_subprocess_exec(*argv)
    assert await process.wait() == 0
    with pytest.raises(TerminalError, match="takes no keys now, because somebody reads its history there"):
        await place.answer(prompt, 1)
    assert not (place.folder / "chosen-1").exists()
    process = await asyncio.create_subprocess_exec(*argv[:3], "send-keys", "-t", "w01", "-X", "cancel")
    assert await process.wait() == 0
    await place.answer(prompt, 1)
    assert await place.chosen(1) == "Yes"


async def test_an_agent_that_says_that_it_waits_keeps_its_own_word(place: Place) -> None:
    await place.engine.submit(AgentReport(state="limited", note="until five"), Actor("NATIVE-w01", "instance"))
    place.ask(1)
    await place.asked()
    assert (await place.until(lambda item: item.asks)).word == "limited"
