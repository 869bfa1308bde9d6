from __future__ import annotations

import io

import pytest

from aegis_tui.agent.pane import Pane
from aegis_tui.agent.screen import Screen


def shown() -> tuple[Screen, io.StringIO]:
    file = io.StringIO()
    return Screen(Pane(file)), file


def test_text_of_models_and_repositories_is_inert() -> None:
    screen, file = shown()
    screen.stream("\x1b]0;title\x07[red]x[/red] :smile:")
    screen.action("Reading", "a\x1b[2Jb\n● Editing c")
    screen.output("\x1b[31mred\x9b1m\n[link=x]y[/link]")
    screen.diff("a\x1b[1m", "b\u202e")
    assert "\x1b" not in file.getvalue()
    assert "\x9b" not in file.getvalue()
    assert "\u202e" not in file.getvalue()
    assert "[red]x[/red] :smile:" in file.getvalue()
    assert file.getvalue().count("\n● ") == 1


def test_a_diff_shows_what_changed_and_counts_the_rest() -> None:
    screen, file = shown()
    screen.diff("a\nb\nc\n", "a\nB\nc\n")
    assert file.getvalue() == "  -b\n  +B\n"
    screen.diff("-- a comment of SQL\n", "++x;\n@@ b\n")
    assert file.getvalue() == "  -b\n  +B\n  --- a comment of SQL\n  +++x;\n  +@@ b\n"
    screen.diff("", "x\n" * 30)
    assert "… 16 more changed lines" in file.getvalue()


def test_a_long_change_is_not_compared_line_by_line() -> None:
    screen, file = shown()
    texts = ["".join(f"{n}\n{n if n % 2 else n * side}\n" for n in range(1, 20_001)) for side in (1, 1_000_003)]
    screen.diff(*texts)
    assert file.getvalue().startswith("  -2\n  -3\n") and "… 79980 more changed lines" in file.getvalue()


def test_long_output_shows_its_end() -> None:
    screen, file = shown()
    screen.output("\n".join(str(number) for number in range(30)))
    assert file.getvalue().startswith("  … 20 lines above\n  20\n")


def test_a_line_after_streamed_text_begins_on_its_own() -> None:
    screen, file = shown()
    screen.stream("Looking")
    screen.command("ls")
    assert file.getvalue() == "Looking\n$ ls\n"


def test_a_state_has_glyph_word_and_reason() -> None:
    screen, file = shown()
    screen.state("waiting", "for the lock of x")
    assert file.getvalue() == "◔ waiting · for the lock of x\n"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("file", "environ", "is_shown"),
    [
        (_Terminal(), {"TERM": "tmux-256color"}, "\x1b[36m● \x1b[0m\x1b[1mReading\x1b[0m a\n"),
        (_Terminal(), {"TERM": "tmux-256color", "NO_COLOR": "1"}, "● \x1b[1mReading\x1b[0m a\n"),
        (_Terminal(), {"TERM": "dumb"}, "● Reading a\n"),
        (_Terminal(), {}, "● Reading a\n"),
        (io.StringIO(), {"TERM": "tmux-256color"}, "● Reading a\n"),
    ],
)
def test_styles_are_written_where_the_terminal_has_them(
    file: io.StringIO, environ: dict[str, str], is_shown: str
) -> None:
    Screen(Pane.of(file, environ)).action("Reading", "a")
    assert file.getvalue() == is_shown


def test_what_a_person_types_is_echoed_and_taken_back() -> None:
    screen, file = shown()
    screen.typed("ab\bc")
    assert file.getvalue() == "ab\b \bc"
