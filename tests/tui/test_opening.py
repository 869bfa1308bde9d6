"""The first frame: drawn before the core is imported, true, and deaf to nothing that is pressed (PERF-5, TUI-6)."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.geometry import Size
from textual.worker import WorkerFailed

from aegis_tui.errors import AegisError, UsageError
from aegis_tui.tui.app import AegisApp
from aegis_tui.tui.choices import Choices
from aegis_tui.tui.opening import Opening, curtain_lines
from aegis_tui.tui.parts import Parts
from aegis_tui.tui.resources import data_files
from aegis_tui.tui.screens.why import WhyScreen
from aegis_tui.tui.text import line_width
from aegis_tui.tui.theme import DEFAULT_THEME
from tests.tui.pilot import ready, screen_text, to_the_end, until

Record = Callable[..., Any]
SIZES = [(80, 24), (120, 36), (160, 48)]
THEMES = sorted(data_files("themes", {"HOME": "/nonexistent"}))
NOT_YET = ("pydantic", "aegis_tui.config", "aegis_tui.domain.event", "aegis_tui.tui.feed", "http.client", "sqlite3")


def test_the_first_frame_imports_nothing_of_the_core() -> None:
    code = (
        "import sys; import aegis_tui.cli.main, aegis_tui.config_files\n"
        "import aegis_tui.tui.app, aegis_tui.tui.opening, aegis_tui.tui.session\n"
        f"print([name for name in {NOT_YET!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


class Loading:
    """Parts that are made when the test says so."""

    def __init__(self, parts: Parts | AegisError) -> None:
        self._parts = parts
        self.may_go_on = threading.Event()

    def __call__(self) -> Parts:
        self.may_go_on.wait(60)
        if isinstance(self._parts, AegisError):
            raise self._parts
        return self._parts


@contextlib.contextmanager
def opened(
    parts: Parts | AegisError, *, theme: str | None = None, layout: str | None = None
) -> Iterator[tuple[AegisApp, Loading]]:
    loading = Loading(parts)
    opening = Opening(load=loading, environ={}, choices=Choices(None), theme=theme, layout=layout)
    try:
        yield AegisApp(opening), loading
    finally:
        loading.may_go_on.set()


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("theme", THEMES)
@to_the_end
async def test_it_says_that_the_state_is_read_and_nothing_else(
    record: Record, theme: str, size: tuple[int, int]
) -> None:
    with opened(record().app().desk.parts, theme=theme) as (app, loading):
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: "catching up with the hub" in screen_text(app))
            shown = screen_text(app)
            assert app.theme == theme and "╭─ Instances ─" in shown
            words = {word for word in shown.split() if word.isalnum()}
            assert words <= {"catching", "up", "with", "the", "hub", *map(str.capitalize, PANEL_NAMES)}
            loading.may_go_on.set()
            await until(pilot, lambda: hasattr(app, "desk"))
            await ready(pilot, app)
            await until(pilot, lambda: "catching up" not in screen_text(app))
            assert "run1" in screen_text(app)


PANEL_NAMES = ("instances", "preview", "partitions", "locks", "conflicts", "events", "pieces")


@pytest.mark.parametrize(
    ("key", "is_done"),
    [
        ("question_mark", lambda app: isinstance(app.screen, WhyScreen)),
        ("colon", lambda app: isinstance(app.screen, CommandPalette)),
        ("T", lambda app: app.theme != DEFAULT_THEME),
    ],
)
@to_the_end
async def test_what_is_pressed_before_there_is_a_dashboard_is_done_when_there_is_one(
    record: Record, key: str, is_done: Callable[[AegisApp], bool]
) -> None:
    with opened(record(until=125).app().desk.parts) as (app, loading):
        async with app.run_test(size=(120, 36), notifications=True) as pilot:
            await until(pilot, lambda: "catching up" in screen_text(app))
            await pilot.press(key)
            assert not is_done(app)
            loading.may_go_on.set()
            await until(pilot, lambda: is_done(app))


def test_a_failure_while_the_parts_are_made_ends_the_session() -> None:
    class Broken(Loading):
        def __call__(self) -> Parts:
            raise ZeroDivisionError

    async def scene() -> None:
        opening = Opening(load=Broken(UsageError("")), environ={}, choices=Choices(None), theme=None, layout=None)
        async with AegisApp(opening).run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: not pilot.app.is_running)

    with pytest.raises(WorkerFailed, match="ZeroDivisionError"):
        asyncio.run(scene())


@to_the_end
async def test_a_session_can_be_left_before_there_is_a_dashboard(record: Record) -> None:
    with opened(record().app().desk.parts) as (app, loading):
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await until(pilot, lambda: "catching up" in screen_text(app))
            await pilot.press("ctrl+q")
            loading.may_go_on.set()
        assert app.return_value == 0 and app.farewell() == []


def test_parts_that_cannot_be_had_end_the_session_with_the_reason() -> None:
    refused = UsageError("config.toml:1: unknown setting wrokers", "did you mean workers?")

    async def scene() -> None:
        with opened(refused) as (app, loading):
            loading.may_go_on.set()
            async with app.run_test(size=(80, 24)) as pilot:
                await until(pilot, lambda: app.refusal is not None)
            assert app.refusal is refused and app.return_value == refused.exit_code
            assert app.farewell() == []

    asyncio.run(scene())


@pytest.mark.parametrize("named", [{"theme": "nowhere"}, {"layout": "nowhere"}], ids=["theme", "layout"])
def test_a_theme_or_layout_that_there_is_not_is_refused_before_anything_is_drawn(named: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"there is no .* 'nowhere'"), opened(UsageError("never"), **named):
        pytest.fail("it was opened")


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (60, 16), (160, 48), (400, 100)])
@pytest.mark.parametrize("layout", sorted(data_files("layouts", {})))
def test_its_lines_fit_any_terminal(layout: str, size: tuple[int, int]) -> None:
    lines = curtain_lines(data_files("layouts", {})[layout], Size(*size))
    assert all(line_width(line) <= size[0] for line in lines)
