from __future__ import annotations

import asyncio
import os
import termios

from aegis_tui.agent.keyboard import LineAssembler, keyboard_lines


def feed(*pieces: bytes) -> tuple[list[str], str]:
    assembler = LineAssembler()
    lines, echo = [], ""
    for piece in pieces:
        typed = assembler.feed(piece)
        lines += typed.lines
        echo += typed.echo
    return lines, echo


def test_enter_ends_a_line_and_empty_lines_are_nothing() -> None:
    assert feed(b"hello\r", b"\n", b"  \nworld\n") == (["hello", "world"], "hello\n\n  \nworld\n")


def test_characters_may_be_split_anywhere() -> None:
    assert feed(*[bytes([byte]) for byte in "한국 ✔\n".encode()])[0] == ["한국 ✔"]


def test_backspace_and_line_kill_take_back() -> None:
    assert feed(b"ab\x7fc\n") == (["ac"], "ab\bc\n")
    assert feed(b"\x7fab\x15cd\n") == (["cd"], "ab\b\bcd\n")


def test_arrows_and_control_characters_are_not_text() -> None:
    assert feed(b"a\x1b[A\x1b[1;5Cb\x1bOPc\x1bxd\x01\x00\n")[0] == ["abcd"]


def test_a_pasted_text_of_many_lines_is_one_line_of_input() -> None:
    assert feed(b"say: \x1b[20", b"0~one\rtwo\nthree\x1b[201~", b" end\r")[0] == ["say: one\ntwo\nthree end"]


def test_a_line_longer_than_a_terminal_keeps_is_whole_and_the_terminal_is_put_back() -> None:
    master, slave = os.openpty()
    written: list[str] = []

    async def scenario() -> str:
        async with keyboard_lines(slave, echo=written.append, write=written.append) as lines:
            during = termios.tcgetattr(slave)[3]
            assert not during & (termios.ICANON | termios.ECHO)
            assert during & termios.ISIG
            for _ in range(30):
                os.write(master, b"x" * 200)
                await asyncio.sleep(0)
            os.write(master, b"\r")
            return await asyncio.wait_for(lines.get(), 5)

    try:
        before = termios.tcgetattr(slave)
        assert asyncio.run(scenario()) == "x" * 6000
        assert termios.tcgetattr(slave) == before
        assert written[0] == "\x1b[?2004h"
        assert written[-1] == "\x1b[?2004l"
    finally:
        os.close(master)
        os.close(slave)


def test_a_pipe_gives_its_lines_and_its_rest() -> None:
    async def scenario() -> list[str]:
        read_end, write_end = os.pipe()
        os.write(write_end, b"one\ntwo")
        os.close(write_end)
        async with keyboard_lines(read_end, echo=print, write=print) as lines:
            found = [await asyncio.wait_for(lines.get(), 5), await asyncio.wait_for(lines.get(), 5)]
        os.close(read_end)
        return found

    assert asyncio.run(scenario()) == ["one", "two"]


def test_a_closed_input_gives_no_lines() -> None:
    async def scenario() -> bool:
        null = os.open(os.devnull, os.O_RDONLY)
        try:
            async with keyboard_lines(null, echo=print, write=print) as lines:
                return lines.empty()
        finally:
            os.close(null)

    assert asyncio.run(scenario())
