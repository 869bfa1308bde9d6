"""A program in a pseudo-terminal of this process, with every byte that it draws and when it came."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

COLUMNS, LINES = 160, 48
DEADLINE_S = 20.0
_POLL_S = 0.2
_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[PX^_\]].*?(?:\x1b\\|\x07)|[@-Z\\-_])", re.DOTALL)


class PtyProgram:
    """Runs until the block ends.

    Args:
        argv: The program.
        environ: Its whole environment.
        cwd: Where it starts.
    """

    def __init__(self, argv: Sequence[str], *, environ: Mapping[str, str], cwd: Path) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self._drawn = bytearray()
        self._grown = threading.Condition()
        self._arrived_at = 0.0
        self._process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=dict(environ), cwd=cwd, start_new_session=True
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, name="pty")
        self._reader.start()

    def _read(self) -> None:
        while self._process.poll() is None:
            if not select.select([self._master], [], [], _POLL_S)[0]:
                continue
            with contextlib.suppress(OSError):
                chunk = os.read(self._master, 1 << 16)
                with self._grown:
                    self._drawn += chunk
                    self._arrived_at = time.perf_counter()
                    self._grown.notify_all()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def size(self) -> int:
        """How many bytes it has drawn so far."""
        return len(self._drawn)

    def press(self, keys: str) -> None:
        """Write keys to its terminal."""
        os.write(self._master, keys.encode())

    def text(self, since: int = 0) -> str:
        """What it has drawn, without the sequences for places and colours."""
        return _SEQUENCES.sub("", bytes(self._drawn[since:]).decode("utf-8", "replace"))

    def last(self, pattern: str) -> str:
        """The first group of a pattern's last match in what was drawn."""
        return str(re.findall(pattern, self.text())[-1])

    def wait(self, words: str, *, since: int) -> float:
        """Wait until words were drawn after so many bytes; returns when they came, by `time.perf_counter`.

        Raises:
            TimeoutError: They do not come.
        """
        end = time.monotonic() + DEADLINE_S
        with self._grown:
            while words not in self.text(since):
                if time.monotonic() > end:
                    raise TimeoutError(f"{words!r} is not drawn; the end is {self.text()[-2000:]!r}")
                self._grown.wait(_POLL_S)
            return self._arrived_at

    def __enter__(self) -> PtyProgram:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        os.close(self._master)
