"""Every screen in every theme and at three sizes: it is mounted, drawn, and left again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.css.stylesheet import Stylesheet

from aegis_tui.tui.app import AegisApp
from aegis_tui.tui.plain import PlainFilter, is_plain
from aegis_tui.tui.resources import data_files
from aegis_tui.tui.screenshot import SCREENS, go_to, settle
from tests.tui.pilot import ready, screen_text, to_the_end

Record = Callable[..., Any]
THEMES = sorted(data_files("themes", {"HOME": "/nonexistent"}))
SIZES = [(80, 24), (120, 36), (160, 48)]
ENDED = {"report"}
"""Screens that there are only once a run has ended."""


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("ended", [False, True], ids=["going", "ended"])
@to_the_end
async def test_every_screen_stands_in_every_theme_at_every_size(
    record: Record, size: tuple[int, int], ended: bool
) -> None:
    app = (record() if ended else record(until=163)).app(theme=THEMES[0])
    async with app.run_test(size=size, notifications=True) as pilot:
        await ready(pilot, app)
        sheets = {theme: sheet_of(app, theme) for theme in THEMES}
        for name in sorted(ENDED if ended else SCREENS.keys() - ENDED):
            with app.batch_update():  # frames in between are not looked at
                await go_to(app, pilot, name)
            await settle(pilot)
            looks = set()
            for sheet in sheets.values():
                if sheet.source.keys() != app.stylesheet.source.keys():  # what is mounted brings its own rules
                    sheet.source = app.stylesheet.source.copy()
                    sheet.parse()
                sheet.update(app.screen)
                strips = app.screen._compositor.render_strips()
                assert len(strips) == size[1] and any(strip.text.strip() for strip in strips), f"{name} at {size}"
                assert not any(re.search("╰[^╯│]*…", strip.text) for strip in strips), f"{name} at {size} cuts its keys"
                looks.add(str(app.screen.styles.background.hex + app.screen.styles.color.hex))
            assert len(looks) > 1, f"{name} looks alike in every theme"
            while len(app.screen_stack) > 2:
                app.pop_screen()
            app.clear_notifications()


def sheet_of(app: AegisApp, theme: str) -> Stylesheet:
    """The app's style sheet as a theme makes it; it serves every screen, since only colours differ between themes."""
    sheet = app.stylesheet.copy()
    app.set_reactive(AegisApp.theme, theme)
    sheet.set_variables(app.get_css_variables())
    sheet.parse()
    return sheet


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("goal", "What should be built?"),
        ("feature", "What should the agent do?"),
        ("help", "(attach ID)."),
        ("gates", "never opens   "),
    ],
)
@to_the_end
async def test_dialogs_show_whole_sentences_at_80_columns(record: Record, name: str, words: str) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        await go_to(app, pilot, name)
        dialog = "".join(line[3:77] for line in screen_text(app).splitlines(keepends=True)[2:-2])
        assert words in dialog and "…" not in dialog


@to_the_end
async def test_themes_change_in_place(record: Record) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        seen = []
        for _ in THEMES:
            await pilot.press("T")
            await settle(pilot)
            seen.append(app.theme)
            assert "w01" in screen_text(app)
        assert sorted(seen) == THEMES


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
@to_the_end
async def test_a_screen_without_colour_has_none_and_still_shows_the_cursor(
    record: Record, name: str, value: str
) -> None:
    app = record(until=125).app(environ={name: value})
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        svg = app.export_screenshot()
        update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
        drawn = update.render_segments(app.console)
    colours = [code for code in re.findall(r"\x1b\[([0-9;]*)m", drawn) if re.search(r"(^|;)(3[0-8]|4[0-8]|9\d)", code)]
    assert colours == []
    assert re.search(r"\x1b\[(?:\d;)*7m[^\x1b]*w01", drawn), "the row under the cursor is reversed"
    assert "w01" in svg


def test_a_background_that_marks_is_reversed_and_the_ground_is_not() -> None:
    black = Color.parse("#000000")
    (marked, plain, none) = PlainFilter().apply(
        [
            Segment("x", Style.parse("red on #404040 bold")),
            Segment("y", Style.parse("red on #000000")),
            Segment("z", None),
        ],
        black,
    )
    assert marked.style == Style(reverse=True, bold=True) and plain.style == Style(reverse=False) and none.style is None


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [({}, False), ({"NO_COLOR": ""}, False), ({"NO_COLOR": "1"}, True), ({"TERM": "dumb"}, True)],
)
def test_colour_is_left_out_where_it_is_not_wanted(environ: dict[str, str], wanted: bool) -> None:
    assert is_plain(environ) is wanted
