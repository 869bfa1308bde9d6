from __future__ import annotations

import pytest

from aegis_tui.adapters.tmux.protocol import Changed, ControlParser, PaneOutput, Reply, command_line
from aegis_tui.errors import TerminalError


def test_a_reply_is_put_together_from_pieces_of_any_size() -> None:
    stream = b"%begin 17 5 1\nline one\n\nzwei\n%end 17 5 1\n%output %3 a\\033b\n"
    for size in (1, 2, 7, len(stream)):
        parser = ControlParser()
        found = [message for at in range(0, len(stream), size) for message in parser.feed(stream[at : at + size])]
        assert found == [Reply(True, ("line one", "", "zwei")), PaneOutput("%3")]


def test_what_looks_like_a_notification_inside_a_block_is_data() -> None:
    block = b"%begin 1 5 1\n%output %3 x\n%end 1 4 1\n%error 9 5 1\n%exit\n%end 1 5 1\n"
    assert ControlParser().feed(block) == [Reply(True, ("%output %3 x", "%end 1 4 1", "%error 9 5 1", "%exit"))]


def test_an_error_block_is_a_refusal() -> None:
    assert ControlParser().feed(b"%begin 1 5 1\nno such pane\n%error 1 5 1\n") == [Reply(False, ("no such pane",))]


def test_a_block_that_nobody_asked_for_is_told_apart() -> None:
    assert ControlParser().feed(b"%begin 1 5 0\n%end 1 5 0\n") == [Reply(True, (), ours=False)]


def test_a_changed_subscription_is_told_by_name() -> None:
    assert ControlParser().feed(b"%subscription-changed dead $0 @1 1 %2 : 1\n") == [Changed("dead")]


def test_text_outside_a_block_means_that_the_frame_is_lost() -> None:
    with pytest.raises(TerminalError):
        ControlParser().feed(b"hello\n")


def test_arguments_are_quoted_so_that_tmux_reads_them_back_unchanged() -> None:
    assert command_line(["a", "it's; #{x} $HOME \\"]) == b"'a' 'it'\\''s; #{x} $HOME \\'\n"


def test_a_line_break_cannot_smuggle_in_a_second_command() -> None:
    with pytest.raises(TerminalError):
        command_line(["display-message", "x\nkill-server"])
