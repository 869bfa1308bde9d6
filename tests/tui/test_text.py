from __future__ import annotations

import pytest
from rich.cells import cell_len

from aegis_tui.tui.text import (
    Span,
    bar,
    clock_text,
    count_text,
    fit,
    fit_tail,
    fold,
    inert,
    line_width,
    wrap,
)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "�[31mred�[0m"),
        ("\x1b]0;title\x07", "�]0;title�"),
        ("safe\rlie", "safe⏎lie"),
        ("a\u202egnp.exe", "a�gnp.exe"),
        ("\ud800", "�"),
        ("tab\there", "tab here"),
        ("zero\x00byte\x9b1m", "zero�byte�1m"),
        ("알림 🙂 [bold]x[/bold]", "알림 🙂 [bold]x[/bold]"),
    ],
)
def test_text_from_outside_can_only_be_read(hostile: str, shown: str) -> None:
    assert inert(hostile) == shown


@pytest.mark.parametrize("text", ["", "abc", "알림 알림", "🙂🙂🙂", "a" * 40])
@pytest.mark.parametrize("width", [0, 1, 2, 3, 7, 12])
def test_a_cell_is_exactly_as_wide_as_it_is_told(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width
    assert cell_len(fit(text, width, right=True)) == width
    assert cell_len(fit_tail(text, width)) == width


def test_a_cut_is_shown_and_a_path_keeps_its_end() -> None:
    assert fit("implementing", 6) == "imple…"
    assert fit_tail("src/shop/routes.py", 10) == "…routes.py"


def test_a_bar_can_be_read_without_colours() -> None:
    full, rest = bar(0.5, 8)
    assert full.text + rest.text == "━━━━────"
    assert bar(7.0, 4)[0].text == "━━━━"
    assert bar(-1.0, 4)[1].text == "────"


def test_times_and_counts_are_short() -> None:
    assert [clock_text(value) for value in (-3, 5, 192.7, 3725)] == ["0:00", "0:05", "3:12", "1:02:05"]
    assert [count_text(value) for value in (0, 947, 1200, 18_400, 999_499, 3_400_000)] == [
        "0",
        "947",
        "1.2k",
        "18k",
        "999k",
        "3.4M",
    ]


@pytest.mark.parametrize("width", [8, 13, 30])
def test_wrapped_lines_fit_and_lose_no_word(width: int) -> None:
    text = "Some words and a/very/long/path/that/has/no/blank.py 알림알림알림알림알림\n  indented line"
    lines = wrap(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_a_folded_line_keeps_every_sign_and_its_inks() -> None:
    line = (Span("label ", "muted"), Span("알림" * 9, "warn"))
    pieces = fold(line, 11, indent=3)
    assert all(line_width(piece) <= 11 for piece in pieces)
    assert "".join(span.text for piece in pieces for span in piece if span.ink == "warn") == "알림" * 9


def test_a_line_is_folded_at_a_blank_unless_that_leaves_most_of_a_part_empty() -> None:
    def parts(text: str) -> list[str]:
        return ["".join(span.text for span in piece) for piece in fold((Span(text),), 12, indent=2)]

    assert parts("  no word is cut in two") == ["  no word ", "  is cut in ", "  two"]
    assert parts("a longest/path/of/all") == ["a longest/pa", "  th/of/all"]
