"""Attach from a plain terminal, from inside another tmux and from the session; the preview's widths (PANE-2)."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from aegis_tui.testing.screen import PaneScreen

if TYPE_CHECKING:
    from tests.e2e.conftest import HeldRun

pytestmark = pytest.mark.timeout(180)
PANE = "Reading README.md"
WIDE_WORDS = "┃한글 위젯 검색 🙂 끝 ✅┃"
DETACH = ("C-]", "d")


def attach_argv(*options: str) -> list[str]:
    return [sys.executable, "-P", "-m", "aegis_tui", "attach", "w01", *options]


def open_screen(shown_run: HeldRun, argv: list[str]) -> PaneScreen:
    workspace = shown_run.workspace
    place = Path(tempfile.mkdtemp(prefix="s", dir=workspace.folder / "screen"))
    return PaneScreen(place, argv, environ=workspace.environ, cwd=workspace.root)


def test_attach_from_a_plain_terminal_shows_the_pane_and_the_detach_key_comes_back(shown_run: HeldRun) -> None:
    with open_screen(shown_run, attach_argv()) as screen:
        text = screen.wait(PANE)
        assert WIDE_WORDS in text
        assert re.search(r"C-\] d|\^\] d|ctrl\+\] d", text.splitlines()[-1], re.IGNORECASE), text.splitlines()[-1]
        screen.press(*DETACH)
        assert screen.wait_end() == 0


def test_a_read_only_look_does_not_type(shown_run: HeldRun) -> None:
    with open_screen(shown_run, attach_argv("--read-only")) as screen:
        screen.wait(PANE)
        screen.write("echo typed-by-mistake")
        screen.press("Enter")
        screen.press(*DETACH)
        assert screen.wait_end() == 0
    with open_screen(shown_run, attach_argv()) as screen:
        assert "typed-by-mistake" not in screen.wait(PANE)
        screen.press(*DETACH)
        assert screen.wait_end() == 0


def test_attach_from_inside_another_tmux_is_a_popup_over_it(shown_run: HeldRun) -> None:
    socket = shown_run.workspace.folder / "own.sock"
    outer = ["tmux", "-u", "-S", str(socket), "-f", "/dev/null", "new-session", "-s", "own"]
    with open_screen(shown_run, [*outer, *attach_argv()]) as screen:
        text = screen.wait(PANE, r"\[own\]")
        assert WIDE_WORDS in text
        screen.press(*DETACH)
        assert screen.wait_end() == 0


def test_the_session_hands_the_terminal_over_and_comes_back_to_the_same_row(shown_run: HeldRun) -> None:
    with open_screen(shown_run, shown_run.workspace.argv()) as screen:
        screen.wait(r"● w01 +search", r"● w02 +receipt", r"w01 search ─ live")
        screen.press("j")
        screen.wait("w02 receipt ─ live", PANE)
        screen.press("a")
        screen.wait_gone("╭─ Instances")
        screen.wait(PANE)
        screen.press(*DETACH)
        screen.wait("w02 receipt ─ live", "╭─ Instances")
        screen.press("k")
        screen.wait("w01 search ─ live")
        screen.press("A")
        screen.wait_gone("╭─ Instances")
        screen.wait(PANE)
        screen.write("q")
        screen.press(*DETACH)
        screen.wait("w01 search ─ live", "╭─ Instances")
        screen.press("q")
        assert screen.wait_end() == 0


def test_the_preview_shows_korean_and_emoji_at_their_widths(shown_run: HeldRun) -> None:
    with open_screen(shown_run, shown_run.workspace.argv()) as screen:
        screen.wait("w01 search ─ live", "한글")
        rows = screen.wait(re.escape(WIDE_WORDS)).splitlines()
    (row,) = (line for line in rows if WIDE_WORDS in line)
    (plain,) = (line for line in rows if PANE in line)
    assert bars(row)[-2:] == bars(plain)[-2:]
    assert bars(row)[-1] == cell_len(row.rstrip()) - 1 == 159


def bars(line: str) -> list[int]:
    """The columns of the frames' vertical bars in a line."""
    return [cell_len(line[:at]) for at, char in enumerate(line) if char == "│"]
