"""Runs a program in a real terminal, a pane of its own tmux server, so that a test can press keys and read it."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import psutil

from aegis_tui.errors import TerminalError

POLL_S = 0.03
PATIENCE_S = 60.0
"""How long to wait for a screen by default; long, because a program draws late on a busy machine."""
_DEADLINE_S = 10.0
_PANE = "screen:0.0"
_FOREIGN = frozenset({"TMUX", "TMUX_PANE"})
_SIZES = frozenset({"COLUMNS", "LINES"})
"""Variables with the size of the outer terminal; a program would prefer them to the size of its own."""

_KEPT_OPEN = '"$@"; code=$?; printf %s "$code" >"$0.new"; mv "$0.new" "$0"; exec sleep 600'
"""Shell script: runs its arguments, writes the exit code to the file $0, and then sleeps, so that the screen stays."""


class PaneScreen:
    """One pane with its own tmux server; `close` ends the server and what runs in it.

    Args:
        folder: An existing folder with a short path, for the socket.
        argv: The program that runs in the pane.
        environ: Its whole environment.
        cwd: Its folder.
        columns: Width in cells.
        lines: Height in cells.
        inside: Whether the program gets the variables `TMUX` and `TMUX_PANE`, which show that it runs in tmux.

    Raises:
        TerminalError: tmux fails.
    """

    def __init__(
        self,
        folder: Path,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        cwd: Path,
        columns: int = 160,
        lines: int = 48,
        inside: bool = False,
    ) -> None:
        self._socket = folder / "screen.sock"
        self._code = folder / "screen.code"
        self._code.unlink(missing_ok=True)
        self._environ = {name: value for name, value in environ.items() if name not in _FOREIGN | _SIZES}
        self._environ["COLORTERM"] = "truecolor"
        hidden = [] if inside else ["env", *(f"--unset={name}" for name in sorted(_FOREIGN))]
        size = f"{columns}x{lines}"
        options = (("-g", "default-size", size), ("-g", "status", "off"), ("-s", "escape-time", "0"))
        self._tmux(
            "start-server",
            *(word for option in options for word in (";", "set-option", *option)),
            *(";", "set-option", "-g", "default-terminal", "tmux-256color"),
            *(";", "new-session", "-d", "-s", "screen", "-x", str(columns), "-y", str(lines), "-c", str(cwd)),
            *("--", "sh", "-c", _KEPT_OPEN, str(self._code), *hidden, *argv),
        )

    def _tmux(self, *arguments: str) -> str:
        argv = ["tmux", "-u", "-S", str(self._socket), "-f", "/dev/null", *arguments]
        done = subprocess.run(
            argv,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise TerminalError(f"tmux {arguments[0]}: {done.stderr.strip()}", "is tmux installed?")
        return done.stdout

    def text(self) -> str:
        """Return what the pane shows now, with a line end after each of its lines.

        Raises:
            TerminalError: The server has ended.
        """
        return self._tmux("capture-pane", "-p", "-t", _PANE)

    def lines(self) -> list[str]:
        """Return the lines that the pane shows now, from the top; raises `TerminalError` if the server has ended."""
        return self.text().splitlines()

    def press(self, *keys: str) -> None:
        """Press keys one after the other, by tmux's names: `Enter`, `C-b`, `q`.

        Each key is sent by its own tmux command: a tmux inside takes keys within one millisecond for a paste.

        Raises:
            TerminalError: The server has ended.
        """
        for key in keys:
            self._tmux("send-keys", "-t", _PANE, key)

    def write(self, text: str) -> None:
        """Type a text, character by character; raises `TerminalError` if the server has ended."""
        self._tmux("send-keys", "-t", _PANE, "-l", text)

    def tmux(self, *arguments: str) -> str:
        """Run another tmux command on the pane's server and return its output; raises `TerminalError` if it fails."""
        return self._tmux(*arguments)

    def wait(self, *patterns: str, timeout_s: float = PATIENCE_S) -> str:
        """Wait until the screen matches all patterns at the same time; return its text.

        Args:
            patterns: Regular expressions; `^` and `$` match at each line.
            timeout_s: How long to wait, in seconds.

        Raises:
            TimeoutError: It did not in time; the message contains the last text.
        """
        return self.until(
            lambda text: all(re.search(item, text, re.MULTILINE) for item in patterns), str(patterns), timeout_s
        )

    def wait_gone(self, pattern: str, *, timeout_s: float = PATIENCE_S) -> str:
        """Wait until the screen does not match a regular expression any more; return its text.

        Raises:
            TimeoutError: It still does after `timeout_s` seconds; the message contains the last text.
        """
        return self.until(lambda text: not re.search(pattern, text, re.MULTILINE), f"no {pattern}", timeout_s)

    def until(self, condition: Callable[[str], object], what: str, timeout_s: float) -> str:
        """Wait until a condition holds for the text of the screen; return the text.

        Raises:
            TimeoutError: It did not hold within `timeout_s` seconds; the message contains the last text.
        """
        end = time.monotonic() + timeout_s
        while True:
            text = self.text()
            if condition(text):
                return text
            if time.monotonic() > end:
                raise TimeoutError(f"waited {timeout_s:g} s for {what}; the screen shows:\n{text}")
            time.sleep(POLL_S)

    def wait_end(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait until the program has ended; return its exit code, or 128 plus the number of the signal that ended it.

        Raises:
            TimeoutError: It did not end within `timeout_s` seconds.
        """
        self.until(lambda _: self._code.exists(), "the end of the program", timeout_s)
        return int(self._code.read_text("ascii"))

    def pid(self) -> int:
        """Return the process id of the program; raises `IndexError` if it has ended."""
        shell = psutil.Process(int(self._tmux("display-message", "-p", "-t", _PANE, "#{pane_pid}")))
        return int(shell.children()[0].pid)

    def close(self) -> None:
        """End the server and what runs in it, and wait until it has ended; it may be called twice."""
        with contextlib.suppress(TerminalError, subprocess.TimeoutExpired, psutil.Error):
            server = psutil.Process(int(self._tmux("display-message", "-p", "#{pid}")))
            self._tmux("kill-server")
            psutil.wait_procs([server], timeout=_DEADLINE_S)
        self._socket.unlink(missing_ok=True)
        self._code.unlink(missing_ok=True)

    def __enter__(self) -> PaneScreen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
