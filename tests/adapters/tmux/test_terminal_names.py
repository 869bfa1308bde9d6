"""Attaching from a terminal that this machine does not know."""

from __future__ import annotations

import pytest

from aegis_tui.adapters.tmux.attach import attach_argv, can_be_drawn_on, terminal_argument
from aegis_tui.sdk.attaching import assumed_terminal, without_popup


@pytest.mark.parametrize("term", ["xterm-ghostty-of-tomorrow", "foo", "dumb", "", "-x", "../../etc/passwd"])
def test_a_terminal_that_cannot_be_drawn_on_is_taken_for_a_known_one(term: str) -> None:
    assert terminal_argument({"TERM": term}) == ["TERM=xterm-256color"]
    argv = attach_argv(["tmux"], "w01", read_only=False, environ={"TERM": term}, socket_name="s", tmux_tmpdir=None)
    assert argv[:3] == ["env", "TERM=xterm-256color", "tmux"]
    assert assumed_terminal(argv) == "attaching as xterm-256color"


@pytest.mark.parametrize("term", ["xterm", "xterm-256color", "vt100", "linux"])
def test_a_known_terminal_is_left_as_it_is(term: str) -> None:
    assert can_be_drawn_on(term)
    argv = attach_argv(["tmux"], "w01", read_only=False, environ={"TERM": term}, socket_name="s", tmux_tmpdir=None)
    assert argv[0] == "tmux" and assumed_terminal(argv) == ""


def test_without_a_client_the_popup_is_left_out_and_its_command_is_the_same() -> None:
    outside = {"TERM": "xterm", "TMUX": "/tmp/outer,1,0"}
    fields = {"read_only": True, "socket_name": "s", "tmux_tmpdir": "/run/x"}
    popup = attach_argv(["tmux", "-L", "s"], "w01", environ=outside, **fields)  # type: ignore[arg-type]
    assert popup[:2] == ["tmux", "display-popup"]
    inner = without_popup(popup)
    assert inner[:6] == ["env", "-u", "TMUX", "-u", "TMUX_PANE", "TMUX_TMPDIR=/run/x"]
    assert inner.count(";") == 3 and "\\;" not in inner and "attach-session" in inner
