"""The preview never cuts silently: what does not fit is marked, and can be scrolled to or wrapped (PANE-3)."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.strip import Strip

from aegis_tui.ports.terminal import Screenshot
from aegis_tui.tui.resources import data_files
from aegis_tui.tui.text import width_of
from aegis_tui.tui.theme import DEFAULT_THEME, build_theme, load_theme
from aegis_tui.tui.widgets.preview import PanePreview, folded
from tests.tui.pilot import to_the_end

SIZE = (32, 8)


class OnePane(App[None]):
    """A preview that fills a small terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.register_theme(build_theme(DEFAULT_THEME, load_theme(data_files("themes", {})[DEFAULT_THEME])))
        self.theme = DEFAULT_THEME
        self.preview = PanePreview()

    def compose(self) -> ComposeResult:
        yield self.preview

    def shown(self) -> list[str]:
        return [self.preview.render_line(y).text for y in range(self.preview.size.height)]


def shot(lines: Iterable[str]) -> Screenshot:
    return Screenshot(tuple(lines), 200, 50, 0, 0, False)


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await pilot.pause()


@to_the_end
async def test_lines_above_and_cells_beside_are_marked_and_can_be_scrolled_to() -> None:
    app = OnePane()
    async with app.run_test(size=SIZE) as pilot:
        app.preview.focus()
        app.preview.show_pane("w01", shot([f"line {at} " + "x" * 60 + f" end {at}" for at in range(20)]))
        await pilot.pause()
        height, width = app.preview.size.height, app.preview.size.width
        assert str(app.preview.border_subtitle) == f"{20 - height} above · z wraps lines"
        assert all(line.endswith("›") and width_of(line) == width for line in app.shown())
        assert app.shown()[-1].startswith("line 19")
        await press(pilot, "k", "k")
        assert app.shown()[-1].startswith("line 17")
        assert str(app.preview.border_subtitle).startswith(f"{18 - height} above · 2 below")
        await press(pilot, "g")
        assert app.shown()[0].startswith("line 0 ")
        await press(pilot, "G", ">", ">", ">", ">", ">")
        assert app.shown()[-1].startswith("‹") and app.shown()[-1].rstrip().endswith("end 19")
        await press(pilot, "<", "<", "<", "<", "<")
        assert app.shown()[-1].startswith("line 19")


@to_the_end
async def test_wrapped_lines_show_everything_and_what_fits_has_no_mark() -> None:
    app = OnePane()
    async with app.run_test(size=SIZE) as pilot:
        app.preview.focus()
        app.preview.show_pane("w01", shot(["a" * 70]))
        await press(pilot, "z")
        assert "".join(app.shown()).replace(" ", "") == "a" * 70
        assert str(app.preview.border_subtitle) == "z cuts lines"
        await press(pilot, "z")
        app.preview.show_pane("w01", shot(["short"]))
        await pilot.pause()
        assert app.shown()[0].rstrip() == "short" and not str(app.preview.border_subtitle)


@to_the_end
async def test_new_output_is_followed_at_the_end_and_the_place_is_kept_above_it() -> None:
    app = OnePane()
    async with app.run_test(size=SIZE) as pilot:
        app.preview.focus()
        app.preview.show_pane("w01", shot(f"line {at}" for at in range(20)))
        app.preview.show_pane("w01", shot(f"line {at}" for at in range(21)))
        await pilot.pause()
        assert app.shown()[-1].startswith("line 20")
        await press(pilot, "k")
        app.preview.show_pane("w01", shot(f"line {at}" for at in range(25)))
        assert app.shown()[-1].startswith("line 19")
        await press(pilot, "G")
        assert app.shown()[-1].startswith("line 24") and "below" not in str(app.preview.border_subtitle)
        app.preview.show_words("w01", "it has ended")
        await pilot.pause()
        assert app.shown()[0].startswith("it has ended") and not str(app.preview.border_subtitle)


@to_the_end
async def test_another_pane_is_shown_from_its_own_end_and_beginning_of_lines() -> None:
    app = OnePane()
    async with app.run_test(size=SIZE) as pilot:
        app.preview.focus()
        for of in ("w01", "w02"):
            app.preview.show_pane(of, shot(f"line {at} " + "x" * 60 for at in range(20)), of=of)
            await pilot.pause()
            assert app.shown()[-1].startswith("line 19")
            await press(pilot, "k", "k", ">")
            assert app.shown()[-1].startswith("‹x")


@to_the_end
async def test_wide_characters_are_whole_in_wrapped_lines_and_cut_lines_keep_their_width() -> None:
    app = OnePane()
    async with app.run_test(size=SIZE) as pilot:
        app.preview.focus()
        app.preview.show_pane("w01", shot(["x" + "가" * 40]))
        await pilot.pause()
        assert width_of(app.shown()[0]) == app.preview.size.width and app.shown()[0].endswith("›")
        await press(pilot, "z")
        assert "".join(app.shown()).replace(" ", "") == "x" + "가" * 40


@given(st.text(st.sampled_from("ab가e\u0301 😀"), max_size=40), st.integers(2, 9))
def test_a_folded_line_loses_nothing(text: str, width: int) -> None:
    parts = folded(Strip([Segment(text)]), width)
    assert "".join(part.text for part in parts) == text
    assert all(part.cell_length <= width for part in parts)
