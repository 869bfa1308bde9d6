"""tmux's control mode: builds command lines, parses replies and notifications. Pure, no IO.

Source: https://github.com/tmux/tmux/wiki/Control-Mode
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aegis_tui.errors import TerminalError

MAX_LINE_BYTES = 4 * 1024 * 1024
"""A longer line cannot come from tmux."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply of a control client to one command: whether tmux accepted it, and the lines it printed."""

    ok: bool
    lines: tuple[str, ...]
    ours: bool = True
    """False for replies to something that we did not send, such as the attach itself."""


@dataclass(frozen=True, slots=True)
class PaneOutput:
    """The notification that a pane has printed something; the output itself is not kept."""

    pane_id: str


@dataclass(frozen=True, slots=True)
class Changed:
    """The value of a subscribed format has changed."""

    name: str


Message = Reply | PaneOutput | Changed


def command_line(args: Sequence[str]) -> bytes:
    """Return one command as a line that tmux parses to exactly these arguments.

    Raises:
        TerminalError: An argument contains a line break.
    """
    if any("\n" in arg or "\r" in arg for arg in args):
        raise TerminalError("a tmux command cannot carry a line break")
    quoted = ["'" + arg.replace("'", "'\\''") + "'" for arg in args]
    return " ".join(quoted).encode("utf-8", "replace") + b"\n"


class ControlParser:
    """Splits the byte stream of a control client into messages. Lines between %begin and %end are data."""

    def __init__(self) -> None:
        self._rest = b""
        self._guard: bytes | None = None
        self._block: list[str] = []

    def feed(self, data: bytes) -> list[Message]:
        """Process bytes and return the messages that they complete, in order; empty if they complete none.

        Raises:
            TerminalError: This is not control mode; the connection cannot be used any longer.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise TerminalError("tmux sent a line that is too long")
        messages = (self._line(line) for line in lines)
        return [message for message in messages if message is not None]

    def _line(self, line: bytes) -> Message | None:
        if self._guard is not None:
            return self._in_block(line)
        if line.startswith(b"%output ") or line.startswith(b"%extended-output "):
            return PaneOutput(line.split(b" ", 2)[1].decode("ascii", "replace"))
        if line.startswith(b"%begin "):
            self._guard, self._block = line.removeprefix(b"%begin "), []
            return None
        if line.startswith(b"%subscription-changed "):
            return Changed(line.split(b" ", 2)[1].decode("utf-8", "replace"))
        if line and not line.startswith(b"%"):
            raise TerminalError("tmux sent lines that do not follow its control protocol")
        return None

    def _in_block(self, line: bytes) -> Message | None:
        for word, ok in ((b"%end ", True), (b"%error ", False)):
            if line == word + (self._guard or b""):
                ours = line.endswith(b" 1")
                self._guard = None
                return Reply(ok, tuple(self._block), ours)
        self._block.append(line.decode("utf-8", "replace"))
        return None
