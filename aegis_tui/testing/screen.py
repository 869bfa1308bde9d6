"""A program in a real terminal, driven by keys and read like a person reads it: a pane of a tmux server of its own."""

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
"""A guard against waiting for ever: on a busy machine a program is drawn late."""
_DEADLINE_S = 10.0
_PANE = "screen:0.0"
_FOREIGN = frozenset({"TMUX", "TMUX_PANE"})
_SIZES = frozenset({"COLUMNS", "LINES"})
"""Of the terminal outside; a program would believe them rather than its own."""

_KEPT_OPEN = '"$@"; code=$?; printf %s "$code" >"$0.new"; mv "$0.new" "$0"; exec sleep 600'
"""Runs its arguments, writes their exit code to $0, and keeps what they showed on the screen."""


class Screen:
    """One pane; its server is ended by `close`, and with it what runs there.

    Args:
        folder: An existing folder with a short path: the socket goes there.
        argv: What runs in the pane. It does not know that it runs in tmux, unless `inside` says so.
        environ: Its whole environment.
        cwd: Where it starts.
        columns: Width in cells.
        lines: Height in cells.
        inside: Let the program see the tmux around it (`TMUX`, `TMUX_PANE`).
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
        """What the pane shows now, a line for each of its lines."""
        return self._tmux("capture-pane", "-p", "-t", _PANE)

    def lines(self) -> list[str]:
        """As `text`, by lines."""
        return self.text().splitlines()

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names, one after the other: `Enter`, `C-b`, `q`.

        Each has a call of its own: keys within a millisecond count as pasted for a tmux that runs inside.
        """
        for key in keys:
            self._tmux("send-keys", "-t", _PANE, key)

    def write(self, text: str) -> None:
        """Type a text, character by character."""
        self._tmux("send-keys", "-t", _PANE, "-l", text)

    def tmux(self, *arguments: str) -> str:
        """Another command to the server around the pane; returns its output."""
        return self._tmux(*arguments)

    def wait(self, *patterns: str, timeout_s: float = PATIENCE_S) -> str:
        """Wait until each pattern is found on the same look; returns that look.

        Args:
            patterns: Regular expressions; `^` and `$` are the ends of a line.
            timeout_s: How long to look, in seconds.

        Raises:
            TimeoutError: With the last look.
        """
        return self.until(
            lambda text: all(re.search(item, text, re.MULTILINE) for item in patterns), str(patterns), timeout_s
        )

    def wait_gone(self, pattern: str, *, timeout_s: float = PATIENCE_S) -> str:
        """Wait until a pattern is not found any more; as `wait`."""
        return self.until(lambda text: not re.search(pattern, text, re.MULTILINE), f"no {pattern}", timeout_s)

    def until(self, condition: Callable[[str], object], what: str, timeout_s: float) -> str:
        """Look until a condition holds; returns that look, raises `TimeoutError` with the last one."""
        end = time.monotonic() + timeout_s
        while True:
            text = self.text()
            if condition(text):
                return text
            if time.monotonic() > end:
                raise TimeoutError(f"waited {timeout_s:g} s for {what}; the screen shows:\n{text}")
            time.sleep(POLL_S)

    def wait_end(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait until the program has ended; returns its exit code, 128 more than a signal's number if that ended it."""
        self.until(lambda _: self._code.exists(), "the end of the program", timeout_s)
        return int(self._code.read_text("ascii"))

    def pid(self) -> int:
        """Process id of the program."""
        shell = psutil.Process(int(self._tmux("display-message", "-p", "-t", _PANE, "#{pane_pid}")))
        return int(shell.children()[0].pid)

    def close(self) -> None:
        """End the server and what runs in it, and wait until it is gone; safe to call twice."""
        with contextlib.suppress(TerminalError, subprocess.TimeoutExpired, psutil.Error):
            server = psutil.Process(int(self._tmux("display-message", "-p", "#{pid}")))
            self._tmux("kill-server")
            psutil.wait_procs([server], timeout=_DEADLINE_S)
        self._socket.unlink(missing_ok=True)
        self._code.unlink(missing_ok=True)

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
