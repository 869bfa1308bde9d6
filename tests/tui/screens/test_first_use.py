"""The dialog of a first session, driven by keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.application.check import Check
from aegis_tui.application.first_use import FirstUse
from aegis_tui.application.setup import Setup
from aegis_tui.tui.choices import Choices
from aegis_tui.tui.screens.dashboard import DashboardScreen
from aegis_tui.tui.screens.first_use import FirstUseScreen
from tests.tui.pilot import screen_text, to_the_end, until

Record = Callable[..., Any]
GOOD, WRONG = "http://good:1/v1", "http://wrong:1/v1"
MACHINE = [
    Check("git", True, "git version 2.45"),
    Check("disk", False, "1.0 GiB free", "free some \x1b[31mspace"),
    Check("agent aider", False, "not installed", "install it", is_extra=True),
]


class Bench:
    """A first use over a folder, with a machine and a model server that answer as a test says."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, list[str]()
        self.settings = folder / "config.toml"
        (folder / "repo/.git/info").mkdir(parents=True)

    def use(self) -> FirstUse:
        async def setup() -> Setup:
            return Setup(self.folder / "repo", self.folder / "repo/.git", {"worker": "text"})

        async def machine() -> list[Check]:
            return MACHINE

        async def model(url: str) -> list[Check]:
            self.asked.append(url)
            return [Check("model", url == GOOD, f"asked {url}", "start one", essential=True)]

        return FirstUse(
            settings_file=self.settings,
            default_url=WRONG,
            setup=setup,
            examine_machine=machine,
            examine_model=model,
            kinds=lambda: ["native", "codex"],
        )

    def app(self, record: Record) -> Any:
        app = record(nothing=True).app(choices=Choices(self.folder / "choices.json"))
        app.desk.parts = replace(app.desk.parts, first_use=self.use)
        return app


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@to_the_end
async def test_three_steps_lead_to_the_settings(record: Record, bench: Bench) -> None:
    app = bench.app(record)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "1.0 GiB free" in screen_text(app))
        seen = screen_text(app)
        assert "fix: free some" in seen and "\x1b[31ms" not in seen and "not needed: aider" in seen
        await until(pilot, lambda: "can be fixed later" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: f"asked {WRONG}" in screen_text(app))
        assert "aegis-tui vllm plan" in screen_text(app)
        await pilot.press(*["backspace"] * len(WRONG), *GOOD)
        await until(pilot, lambda: "not checked yet" in screen_text(app))
        await pilot.press("ctrl+o", "enter")
        await until(pilot, lambda: "enter goes on" in screen_text(app))
        assert isinstance(app.screen, FirstUseScreen) and not bench.settings.exists()
        await pilot.press("enter")
        await until(pilot, lambda: GOOD in screen_text(app) and "nothing else" in screen_text(app))
        await pilot.press("ctrl+t")
        await until(pilot, lambda: ".agents/config.toml" in screen_text(app))
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "nothing else" in screen_text(app))
        assert not bench.settings.exists()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
    assert f'base_url = "{GOOD}"' in bench.settings.read_text() and 'kind = "codex"' in bench.settings.read_text()
    assert (app.desk.parts.settings.base_url, app.desk.parts.settings.kind) == (GOOD, "codex")
    assert bench.asked == [WRONG, GOOD] and not (bench.folder / "repo/.agents").exists()


@to_the_end
async def test_who_leaves_writes_nothing_and_is_not_asked_again(record: Record, bench: Bench) -> None:
    app = bench.app(record)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, FirstUseScreen))
        await pilot.press("escape")
        await until(pilot, lambda: "nothing was written" in screen_text(app))
    assert not bench.settings.exists() and app.desk.parts.choices.get("setup") == "skipped"


@to_the_end
async def test_a_server_that_is_not_there_can_be_passed_over_but_not_an_empty_address(
    record: Record, bench: Bench
) -> None:
    app = bench.app(record)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, FirstUseScreen))
        await pilot.press("enter")
        await until(pilot, lambda: "all the same" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: bench.asked == [WRONG, WRONG])
        await pilot.press(*["backspace"] * len(WRONG), "ctrl+y")
        await until(pilot, lambda: "type the base URL" in screen_text(app))
        await pilot.press(*WRONG, "ctrl+y")
        await until(pilot, lambda: "nothing else" in screen_text(app))
        await pilot.press("ctrl+b")
        await until(pilot, lambda: "Agent kind" in screen_text(app) and "all the same" in screen_text(app))
        await pilot.press("ctrl+b")
        await until(pilot, lambda: "can be fixed later" in screen_text(app))
        assert not bench.settings.exists()


@to_the_end
async def test_settings_that_cannot_be_written_are_said_and_the_dialog_stays(record: Record, bench: Bench) -> None:
    app = bench.app(record)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, FirstUseScreen))
        await pilot.press("enter")
        await until(pilot, lambda: "all the same" in screen_text(app))
        await pilot.press("ctrl+y")
        await until(pilot, lambda: "nothing else" in screen_text(app))
        await asyncio.to_thread(bench.settings.write_text, "workers = 3\n")
        await pilot.press("enter")
        await until(pilot, lambda: "exists already" in screen_text(app))
        assert isinstance(app.screen, FirstUseScreen)
    assert bench.settings.read_text() == "workers = 3\n"


@to_the_end
async def test_a_settings_file_that_cannot_be_written_is_named_with_a_way_without_it(
    record: Record, bench: Bench
) -> None:
    bench.settings = bench.folder / ("c" * 250)  # a file of this name can exist, but none with a longer one beside it
    app = bench.app(record)
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, FirstUseScreen))
        await pilot.press("enter")
        await until(pilot, lambda: "all the same" in screen_text(app))
        await pilot.press("ctrl+y")
        await until(pilot, lambda: "nothing else" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "File name too long" in screen_text(app))
        assert "AEGIS_BASE_URL, or --base-url URL" in screen_text(app) and "/.c" not in screen_text(app)
        assert isinstance(app.screen, FirstUseScreen)
