"""`aegis-tui vllm logs`: the last lines of a vLLM server's log, and those that it adds (LLM-1)."""

from __future__ import annotations

import os
import time
from codecs import getincrementaldecoder
from typing import IO, TYPE_CHECKING, Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.errors import UsageError

if TYPE_CHECKING:
    from aegis_tui.ports.local_server import LocalServer

LINES = 200
_POLL_S = 0.2
_TAIL_BYTES = 4 * 1024 * 1024
"""How much of the end of a log is read at first; older lines are left out."""
_CHUNK_BYTES = 256 * 1024


def logs(
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="Number of lines from the end of the log.")
    ] = LINES,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Also print new lines, until the server has ended.")
    ] = False,
) -> int:
    """Print the last lines of the log of the server that `vllm start` started.

    With --follow, what the server adds is printed too, until it has ended or you interrupt the command (exit code 130).
    If it is started again meanwhile, the new log is printed from its beginning.

    Exit code 2 if no server was started here.
    """
    from aegis_tui.bootstrap.model_server import local_server

    server = local_server(os.environ)
    try:
        file = server.log.open("rb")
    except OSError as error:
        raise UsageError("no vLLM server was started here", "start one: aegis-tui vllm start MODEL") from error
    with file:
        reader = GrowingLog(file)
        for line in reader.last(lines):
            output.data(line)
        if follow:
            _follow(server, reader)
        for line in reader.rest():
            output.data(line)
    return 0


def _follow(server: LocalServer, reader: GrowingLog) -> None:
    while True:
        is_running = server.find() is not None  # asked before the log is read, so that its last lines are not missed
        for line in reader.added():
            output.data(line)
        if not is_running:
            output.talk("the vLLM server is no longer running")
            return
        time.sleep(_POLL_S)


class GrowingLog:
    """Reads the lines of a log that grows, and that its writer empties when it starts again.

    Args:
        file: The log, open for reading bytes; whoever opened it closes it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._open = ""

    def last(self, count: int) -> list[str]:
        """Return the last lines of what is there, at most `count`, and of the last 4 MiB; call it once, first.

        A line that has no end yet is not among them.

        Raises:
            OSError: The log cannot be read.
        """
        start = max(0, os.fstat(self._file.fileno()).st_size - _TAIL_BYTES)
        self._file.seek(start)
        lines = self.added()
        return lines[1 if start else 0 :][-count:] if count else []

    def added(self) -> list[str]:
        """Return the lines that are complete since the last call, at most all that is there; empty if there are none.

        A log that has become shorter is read from its beginning.

        Raises:
            OSError: The log cannot be read.
        """
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)
            self._decoder.reset()
            self._open = ""
        lines: list[str] = []
        while chunk := self._file.read(_CHUNK_BYTES):
            *whole, self._open = _split(self._open + self._decoder.decode(chunk))
            lines += whole
        return lines

    def rest(self) -> list[str]:
        """Return the text after the last line end as the only item; empty if there is none. Call it last."""
        said, self._open = self._open.removesuffix("\r"), ""
        return [said] if said else []


def _split(text: str) -> list[str]:
    """Return the lines of a text without their ends (LF, CR LF or CR), and last what follows the last end.

    That may be empty. A CR at the end of the text may be half of a line end: it stays in the last item.
    """
    held = "\r" if text.endswith("\r") else ""
    lines = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines[-1] += held
    return lines
