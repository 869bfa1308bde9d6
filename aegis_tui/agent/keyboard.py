"""Reads the lines that a person types into the pane.

The terminal's own line mode cuts a line after 4,096 bytes (1,024 on macOS) and loses its end, so a terminal is read
character by character and the lines are assembled here. Signal keys keep working: Ctrl-C still interrupts.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import termios
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass

_PASTE_ON, _PASTE_OFF = "\x1b[?2004h", "\x1b[?2004l"
_PASTE_BEGIN, _PASTE_END = "[200~", "[201~"
_CHUNK_BYTES = 65536
_MAX_LINE_CHARS = 1_000_000
_MAX_ESCAPE_CHARS = 32
_BACKSPACE, _KILL_LINE, _ESCAPE = "\x7f\b", "\x15", "\x1b"


@dataclass(slots=True)
class Typed:
    """The effect of some input: completed lines, and text to echo, in which a backspace removes one character."""

    lines: list[str]
    echo: str


class LineAssembler:
    """Assembles typed and pasted characters to lines. Enter ends a line; newlines in a bracketed paste do not."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line: list[str] = []
        self._escape: str | None = None
        self._is_pasting = False

    def feed(self, data: bytes) -> Typed:
        """Process bytes as they were read; they may be split anywhere, also inside a character.

        Returns:
            The lines that they complete, without space at the ends and never empty, and what to show for them.
        """
        typed = Typed([], "")
        for character in self._decoder.decode(data):
            self._take(character, typed)
        return typed

    def end(self) -> list[str]:
        """Return the unfinished line, if there is one, and clear it; for the end of the input or of a line."""
        rest = "".join(self._line).strip()
        self._line.clear()
        return [rest] if rest else []

    def _take(self, character: str, typed: Typed) -> None:
        if self._escape is not None:
            self._take_escape(character)
        elif character == _ESCAPE:
            self._escape = ""
        elif character in "\r\n":
            self._take_newline(typed)
        elif character in _BACKSPACE:
            if self._line:
                self._line.pop()
                typed.echo += "\b"
        elif character == _KILL_LINE:
            typed.echo += "\b" * len(self._line)
            self._line.clear()
        elif (character == "\t" or character.isprintable()) and len(self._line) < _MAX_LINE_CHARS:
            self._line.append(character)
            typed.echo += character

    def _take_newline(self, typed: Typed) -> None:
        if self._is_pasting:
            self._line.append("\n")
            typed.echo += " "
            return
        typed.echo += "\n"
        typed.lines += self.end()

    def _take_escape(self, character: str) -> None:
        """Collect the next character of an escape sequence; at its end, set whether a bracketed paste is under way.

        All other sequences are ignored.
        """
        self._escape = (self._escape or "") + character
        is_control_sequence = self._escape[0] in "[O"
        is_over = (len(self._escape) > 1 and "@" <= character <= "~") or not is_control_sequence
        if is_over or len(self._escape) > _MAX_ESCAPE_CHARS:
            if self._escape in (_PASTE_BEGIN, _PASTE_END):
                self._is_pasting = self._escape == _PASTE_BEGIN
            self._escape = None


@asynccontextmanager
async def keyboard_lines(
    input_fd: int, *, echo: Callable[[str], None], write: Callable[[str], None]
) -> AsyncIterator[asyncio.Queue[str]]:
    """Yield a queue that receives the lines from `input_fd`; the terminal's mode is restored at the end.

    Blank lines are left out. At the end of the input an unfinished line counts as one; the end itself is not told.

    Args:
        input_fd: A terminal, pipe or socket; anything else gives no lines.
        echo: Called with the text to show for what was typed at a terminal.
        write: Called with control sequences for the terminal.
    """
    lines: asyncio.Queue[str] = asyncio.Queue()
    assembler = LineAssembler()
    loop = asyncio.get_running_loop()
    is_terminal = os.isatty(input_fd)

    def on_readable() -> None:
        try:
            data = os.read(input_fd, _CHUNK_BYTES)
        except OSError:
            data = b""
        if not data:
            loop.remove_reader(input_fd)
        typed = assembler.feed(data) if data else Typed(assembler.end(), "")
        if is_terminal and typed.echo:
            echo(typed.echo)
        for line in typed.lines:
            lines.put_nowait(line)

    with _character_mode(input_fd, write) if is_terminal else nullcontext():
        # The event loop cannot watch a plain file or /dev/null: no lines come from it.
        with suppress(OSError):
            loop.add_reader(input_fd, on_readable)
        try:
            yield lines
        finally:
            loop.remove_reader(input_fd)


@contextmanager
def _character_mode(fd: int, write: Callable[[str], None]) -> Iterator[None]:
    """Switch the terminal to no line mode, no echo and bracketed paste, and back at the end; signal keys still work.

    Args:
        fd: The terminal.
        write: Called with control sequences for it.

    Raises:
        termios.error: It is no terminal.
    """
    saved = termios.tcgetattr(fd)
    changed = list(saved)
    changed[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(fd, termios.TCSADRAIN, changed)
    write(_PASTE_ON)
    try:
        yield
    finally:
        write(_PASTE_OFF)
        termios.tcsetattr(fd, termios.TCSADRAIN, saved)
