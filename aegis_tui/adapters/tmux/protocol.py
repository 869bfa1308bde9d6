"""tmux control mode as text: command lines out, replies and notifications in. Pure, no IO.

Source: https://github.com/tmux/tmux/wiki/Control-Mode
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aegis_tui.errors import TerminalError

MAX_LINE_BYTES = 4 * 1024 * 1024
"""A longer line is no tmux."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What tmux answered to one command."""

    ok: bool
    lines: tuple[str, ...]
    ours: bool = True
    """False for what tmux did unasked, such as the attach itself."""


@dataclass(frozen=True, slots=True)
class Output:
    """A pane wrote something."""

    pane_id: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A subscribed format has another value."""

    name: str


Message = Reply | Output | Changed


def command_line(args: Sequence[str]) -> bytes:
    """One command as a line that tmux's parser reads as exactly these arguments.

    Raises:
        TerminalError: An argument holds a line break, which a line cannot carry.
    """
    if any("\n" in arg or "\r" in arg for arg in args):
        raise TerminalError("a tmux command cannot carry a line break")
    quoted = ["'" + arg.replace("'", "'\\''") + "'" for arg in args]
    return " ".join(quoted).encode("utf-8", "replace") + b"\n"


class ControlParser:
    """Cuts the byte stream of a control client into messages. What stands between %begin and %end is data."""

    def __init__(self) -> None:
        self._rest = b""
        self._guard: bytes | None = None
        self._block: list[str] = []

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete now, in order.

        Raises:
            TerminalError: This is not control mode; the connection is of no use any more.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise TerminalError("tmux sent a line without end")
        messages = (self._line(line) for line in lines)
        return [message for message in messages if message is not None]

    def _line(self, line: bytes) -> Message | None:
        if self._guard is not None:
            return self._in_block(line)
        if line.startswith(b"%output ") or line.startswith(b"%extended-output "):
            return Output(line.split(b" ", 2)[1].decode("ascii", "replace"))
        if line.startswith(b"%begin "):
            self._guard, self._block = line.removeprefix(b"%begin "), []
            return None
        if line.startswith(b"%subscription-changed "):
            return Changed(line.split(b" ", 2)[1].decode("utf-8", "replace"))
        if line and not line.startswith(b"%"):
            raise TerminalError("tmux control mode lost its frame")
        return None

    def _in_block(self, line: bytes) -> Message | None:
        for word, ok in ((b"%end ", True), (b"%error ", False)):
            if line == word + (self._guard or b""):
                ours = line.endswith(b" 1")
                self._guard = None
                return Reply(ok, tuple(self._block), ours)
        self._block.append(line.decode("utf-8", "replace"))
        return None
