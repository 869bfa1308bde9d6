from __future__ import annotations

import pytest
from rich.segment import Segment
from rich.style import Style

from aegis_tui.tui.widgets.ansi import strips_of

BASE = Style.parse("white on black")


def segments(*lines: str) -> list[list[Segment]]:
    return [list(strip) for strip in strips_of(lines, base=BASE)]


def test_colours_hold_from_line_to_line_until_they_are_reset() -> None:
    first, second, third = segments("\x1b[31;1mred", "still", "\x1b[0mplain")
    for [segment] in (first, second):
        assert segment.style is not None
        assert segment.style.color is not None and segment.style.color.name == "red"
        assert segment.style.bold
    assert third[0].style is not None and third[0].style.color == BASE.color


@pytest.mark.parametrize(
    ("sequence", "name"),
    [
        ("38;5;208", "color(208)"),
        ("38;2;1;2;3", "#010203"),
        ("38:2:1:2:3", "#010203"),
        ("92", "bright_green"),
        ("38;5;999", "color(255)"),
    ],
)
def test_extended_colours_are_understood(sequence: str, name: str) -> None:
    [[segment]] = segments(f"\x1b[{sequence}mx")
    assert segment.style is not None and segment.style.color is not None
    assert segment.style.color.name == name


def test_each_attribute_can_be_taken_back() -> None:
    [line] = segments("\x1b[1;2;4;7mA\x1b[22;24;27mB")
    styles = [segment.style for segment in line]
    assert styles[0] is not None and styles[0].bold and styles[0].dim and styles[0].reverse and styles[0].underline
    assert styles[1] == BASE


@pytest.mark.parametrize("hostile", ["\x1b]0;t\x07", "\x1b[2J", "\x1bP1$r\x1b\\", "\x9b31m", "\x1b[38;5m", "\x1b[;;;m"])
def test_nothing_but_colours_reaches_the_terminal(hostile: str) -> None:
    [line] = segments(f"a{hostile}b")
    assert all(
        ord(sign) >= 32 and ord(sign) != 127 and not 128 <= ord(sign) < 160 for part in line for sign in part.text
    )


def test_wide_signs_take_two_cells() -> None:
    [strip] = strips_of(["알림 🙂"], base=BASE)
    assert strip.cell_length == 7


def test_a_full_screen_of_colours_keeps_every_cell() -> None:
    line = "".join(f"\x1b[38;5;{n}mxx" for n in range(100))
    assert [strip.cell_length for strip in strips_of([line] * 50, base=BASE)] == [200] * 50
