"""Programs of the package as processes that begin with everything imported.

The first one makes a server import the package; from then on each is a fork of that server, with arguments, folder,
environment, files and signals of its own. This spares each program its imports, which are most of its time. What a
start is like is for the tests that start the program itself. A hub that such a program starts is a fork as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PLACE = "SUITE_PROGRAMS"
"""Names the socket of the server, for all workers of a run of the suite."""


@contextlib.contextmanager
def server() -> Iterator[None]:
    """The server of one run of the suite; what is started meanwhile finds it by its environment."""
    with tempfile.TemporaryDirectory(prefix="ae-") as folder:
        place = Path(folder) / "s"
        names = ("PATH", "LANG", "LC_ALL", "TZ", "HOME")
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(place))
            door.listen(64)
            process = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).with_name("fork_server.py")), str(door.fileno())],
                env={name: os.environ[name] for name in names if name in os.environ},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=[door.fileno()],
            )
        os.environ[PLACE] = str(place)
        try:
            yield
        finally:
            del os.environ[PLACE]
            process.kill()
            process.communicate()


class Program:
    """One process: as much of `subprocess.Popen` as tests need.

    Args:
        argv: The module that is run, and its arguments.
        folder: Where it runs.
        environ: All that its environment holds.
        files: Its stdin, stdout and stderr; they stay open here.
        numbers: Constants of the package that it has another value of: `module:NAME` -> value.
        own_session: It leads a session of its own.
        place: The socket of the server, where the environment does not name it.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        environ: Mapping[str, str],
        files: tuple[int, int, int],
        numbers: Mapping[str, float] | None = None,
        own_session: bool = False,
        place: str | None = None,
    ) -> None:
        place = place or os.environ[PLACE]
        self.args = list(argv)
        self.returncode: int | None = None
        told: dict[str, Any] = {"module": argv[0], "arguments": argv[1:], "folder": str(folder)}
        told |= {"environ": {**environ}, "numbers": {**(numbers or {})}, "own_session": own_session, "place": place}
        self._end, end = os.pipe()
        with tempfile.TemporaryFile("w+", encoding="utf-8") as request, socket.socket(socket.AF_UNIX) as door:
            json.dump(told, request)
            request.seek(0)
            door.connect(place)
            socket.send_fds(door, [b"."], [request.fileno(), *files, end])
        os.close(end)
        self.pid = int(self._word())

    def poll(self) -> int | None:
        """How it ended; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; returns how it ended, negative where a signal did it.

        Raises:
            subprocess.TimeoutExpired: It goes on.
        """
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._end, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._word())
            os.close(self._end)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _word(self) -> bytes:
        """The next of the two numbers that the server says: the pid and the end."""
        word = b""
        while not word.endswith(b" "):
            if not (piece := os.read(self._end, 1)):
                raise RuntimeError("the server of programs is gone")
            word += piece
        return word


def run_command(
    *arguments: str,
    folder: Path,
    environ: Mapping[str, str],
    timeout_s: float = 120.0,
    numbers: Mapping[str, float] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run one command of `aegis-tui` to its end, as `subprocess.run` does.

    Raises:
        subprocess.TimeoutExpired: It, or what it left with its output open, did not end in time; it was killed.
    """
    (out, theirs_out), (err, theirs_err) = os.pipe(), os.pipe()
    with Path(os.devnull).open("rb") as nothing:
        files = (nothing.fileno(), theirs_out, theirs_err)
        program = Program(["aegis_tui", *arguments], folder=folder, environ=environ, files=files, numbers=numbers)
    os.close(theirs_out)
    os.close(theirs_err)
    texts = _read(program, [out, err], timeout_s)
    return subprocess.CompletedProcess(program.args, program.wait(timeout_s), *texts)


def _read(program: Program, readers: list[int], timeout_s: float) -> list[str]:
    """Read all to their ends, as long as anything that the program started holds one open."""
    texts = {reader: bytearray() for reader in readers}
    end = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader, selectors.EVENT_READ)
        try:
            while selector.get_map():
                if not (ready := selector.select(max(end - time.monotonic(), 0))):
                    program.kill()
                    raise subprocess.TimeoutExpired(program.args, timeout_s)
                for key, _ in ready:
                    if piece := os.read(key.fd, 65536):
                        texts[key.fd] += piece
                    else:
                        selector.unregister(key.fd)
        finally:
            for reader in readers:
                os.close(reader)
    return [texts[reader].decode() for reader in readers]
