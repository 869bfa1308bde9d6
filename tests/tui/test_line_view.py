from __future__ import annotations

import asyncio
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.screen import Screen

from aegis_tui.tui.resources import data_files
from aegis_tui.tui.text import Row, Span
from aegis_tui.tui.theme import DEFAULT_THEME, build_theme, load_theme
from aegis_tui.tui.widgets.line_view import LineView


class _Page(App[None]):
    """One view that fills the screen."""

    def __init__(self) -> None:
        super().__init__()
        self.register_theme(build_theme(DEFAULT_THEME, load_theme(data_files("themes", {})[DEFAULT_THEME])))
        self.theme = DEFAULT_THEME
        self.view = LineView()

    def compose(self) -> ComposeResult:
        yield self.view


def _rows(count: int) -> list[Row]:
    return [Row(str(number), (Span(f"row {number}"),)) for number in range(count)]


@pytest.fixture
def layouts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one for each layout of a screen."""
    counted: list[int] = []
    lay_out = Screen._refresh_layout

    def count(screen: Screen[object], *arguments: Any, **named: Any) -> None:
        counted.append(1)
        lay_out(screen, *arguments, **named)

    monkeypatch.setattr(Screen, "_refresh_layout", count)
    return counted


def test_rows_that_come_and_go_lay_the_screen_out_only_with_the_scroll_bar(layouts: list[int]) -> None:
    async def scene() -> None:
        app = _Page()
        async with app.run_test(size=(40, 10)) as pilot:
            view = app.view
            await pilot.pause()

            async def laid_out_for(count: int) -> bool:
                layouts.clear()
                view.show(_rows(count))
                await pilot.pause()
                return bool(layouts)

            def shows_bar() -> bool:
                return view.show_vertical_scrollbar

            assert not await laid_out_for(4)
            assert shows_bar() is False
            assert await laid_out_for(40)
            assert shows_bar() is True
            view.scroll_to(y=30, animate=False)
            await pilot.pause()
            assert not await laid_out_for(45)
            assert (view.max_scroll_y, round(view.scroll_y)) == (35, 30)
            assert view.vertical_scrollbar.window_virtual_size == 45
            assert not await laid_out_for(20)
            assert round(view.scroll_y) == view.max_scroll_y == 10
            assert view.render_line(0).text.startswith("row 10")
            assert await laid_out_for(3)
            assert round(view.scroll_y) == 0
            assert shows_bar() is False

    asyncio.run(scene())
