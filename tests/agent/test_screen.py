from __future__ import annotations

import io

from rich.console import Console

from aegis_tui.agent.screen import Screen


def shown(width: int = 60) -> tuple[Screen, io.StringIO]:
    file = io.StringIO()
    return Screen(Console(file=file, markup=False, highlight=False, emoji=False, width=width)), file


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
    screen.diff("", "x\n" * 30)
    assert "… 16 more changed lines" in file.getvalue()


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
