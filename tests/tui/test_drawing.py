"""What is drawn again when something changes, and that nothing else is (PERF-4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from textual._styles_cache import StylesCache
from textual.app import App, ComposeResult

from aegis_tui.tui.resources import data_files
from aegis_tui.tui.text import Row, Span
from aegis_tui.tui.theme import build_theme, load_theme
from aegis_tui.tui.widgets.kept import keep_lines
from aegis_tui.tui.widgets.line_view import LinePanel
from tests.tui.pilot import ready, screen_text, to_the_end, until

Record = Callable[..., Any]


class _Panel(LinePanel):
    def __init__(self, name: str) -> None:
        self.drawn: list[int] = []
        super().__init__(name_id=name)

    def render_line(self, y: int) -> Any:
        self.drawn.append(y)
        return super().render_line(y)


class _Page(App[None]):
    """Three panels, one below the other."""

    CSS = "_Panel { height: 6; }"

    def __init__(self) -> None:
        super().__init__()
        for name in ("dark", "light"):
            self.register_theme(build_theme(name, load_theme(data_files("themes", {})[name])))
        self.theme = "dark"
        self.panels = [_Panel(name) for name in ("first", "second", "third")]

    def compose(self) -> ComposeResult:
        yield from self.panels

    def on_mount(self) -> None:
        keep_lines((self.screen, *self.panels))
        for panel in self.panels:
            panel.show([Row(str(number), (Span(f"row {number}"),)) for number in range(4)])
            panel.titled(1)


def _one_changed(panel: LinePanel, word: str) -> None:
    panel.show([*panel.rows[:2], Row("2", (Span(word),)), *panel.rows[3:]])


def test_a_title_has_one_line_drawn_and_one_that_stays_none() -> None:
    async def scene() -> None:
        app = _Page()
        async with app.run_test(size=(40, 20)) as pilot:
            panel = app.panels[1]
            await pilot.pause()
            panel.drawn.clear()
            panel.titled(1)
            assert not panel._repaint_regions
            panel.titled(2)
            await pilot.pause()
            assert panel.drawn == []
            assert "2" in screen_text(app).splitlines()[6]
            panel.needle = "row"
            panel.titled(2)
            await pilot.pause()
            assert "/row" in screen_text(app).splitlines()[11]

    asyncio.run(scene())


def test_a_panel_between_two_that_change_is_not_asked_for_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[StylesCache] = []
    render = StylesCache.render

    def count(cache: StylesCache, *arguments: Any, **named: Any) -> Any:
        asked.append(cache)
        return render(cache, *arguments, **named)

    async def scene() -> None:
        app = _Page()
        async with app.run_test(size=(40, 20)) as pilot:
            first, second, third = app.panels
            await pilot.pause()
            _one_changed(first, "warm-up")
            _one_changed(third, "warm-up")
            await pilot.pause()
            with monkeypatch.context() as patch:
                patch.setattr(StylesCache, "render", count)
                second.drawn.clear()
                _one_changed(first, "changed")
                _one_changed(third, "changed")
                await pilot.pause()
            assert {first._styles_cache, third._styles_cache} == set(asked)
            assert second.drawn == []
            assert screen_text(app).count("changed") == 2

    asyncio.run(scene())


def test_kept_lines_go_with_the_theme_the_size_and_a_filter() -> None:
    async def scene() -> None:
        app = _Page()
        async with app.run_test(size=(40, 20)) as pilot:
            panel = app.panels[0]
            await pilot.pause()
            dark = [strip.render(app.console) for strip in panel.render_lines(panel.size.region)]
            app.theme = "light"
            await pilot.pause()
            light = [strip.render(app.console) for strip in panel.render_lines(panel.size.region)]
            assert dark != light
            await pilot.resize_terminal(30, 20)
            await pilot.pause()
            assert all(len(line) <= 30 for line in screen_text(app).splitlines())
            assert screen_text(app).splitlines()[0].rstrip().endswith("╮")
            panel.filter("row 3")
            await pilot.pause()
            assert "row 2" not in screen_text(app).split("╰")[0]

    asyncio.run(scene())


@to_the_end
async def test_the_preview_follows_the_cursor_in_the_frame_of_the_cursor_itself(record: Record) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await ready(pilot, app)
        await until(pilot, lambda: app.dashboard.current_instance() is not None)
        app.dashboard.instances.action_cursor_first()
        before = app.dashboard.preview.border_title
        app.dashboard.instances.action_cursor_down()
        item = app.dashboard.current_instance()
        assert item is not None and item.instance_id in (app.dashboard.preview.border_title or "")
        assert app.dashboard.preview.border_title != before
