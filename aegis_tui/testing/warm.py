"""Commands in processes that are forked from one warm interpreter, which has imported the command line already.

A forked command has all that a process of its own has: environment, folder, output, exit code and end. What it lacks is
the start of an interpreter and the imports, which are most of what a short command costs: tests that run hundreds of
commands share one start. `ScratchWorkspace.start`, and all that the program starts by itself, stay fresh processes.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

WARM = ("tree", "run", "hub", "status", "connect", "events", "lock", "partition", "place", "worktree", "doctor")
"""Modules of the command line that are there before the first command; a command may import more."""

_LATER = ("aegis_tui.services.design", "aegis_tui.services.preflight", "aegis_tui.config", "aegis_tui.sdk.quick")
_HEAD = struct.Struct("!I")
_STOP_DEADLINE_S = 5.0


class WarmInterpreter:
    """Forks a process for each command; safe to use from several threads.

    Args:
        environ: What the interpreter is started with; each command brings its own.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._sending = threading.Lock()
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "aegis_tui.testing.warm", str(theirs.fileno())],
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def run(
        self, arguments: Sequence[str], *, folder: Path, environ: Mapping[str, str], timeout_s: float
    ) -> tuple[int, str, str]:
        """Run one command to its end, as `subprocess.run` with captured output; returns exit code, stdout and stderr.

        Raises:
            subprocess.TimeoutExpired: It did not end in time, and was killed.
        """
        request = json.dumps({"arguments": list(arguments), "folder": os.fspath(folder), "environ": dict(environ)})
        body, pipes = request.encode(), [os.pipe() for _ in range(3)]
        try:
            try:
                with self._sending:
                    socket.send_fds(self._socket, [_HEAD.pack(len(body))], [pipe[1] for pipe in pipes])
                    self._socket.sendall(body)
            finally:
                for _, their_end in pipes:
                    os.close(their_end)
            out, err, told = _read_all([pipe[0] for pipe in pipes], timeout_s, ["aegis-tui", *arguments])
        finally:
            for our_end, _ in pipes:
                os.close(our_end)
        return int(told.split()[1]), out.decode(), err.decode()

    def close(self) -> None:
        """End the interpreter; commands that still run go on."""
        self._socket.close()
        try:
            self._process.wait(_STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@functools.cache
def warm_interpreter() -> WarmInterpreter:
    """The one of this process; ends with it."""
    kept = ("PATH", "LANG", "LC_ALL", "TZ")
    warm = WarmInterpreter({name: os.environ[name] for name in kept if name in os.environ})
    atexit.register(warm.close)
    return warm


def _read_all(pipes: Sequence[int], timeout_s: float, argv: Sequence[str]) -> list[bytes]:
    """What comes through each pipe until all are closed; the last tells the process id first, and the exit code."""
    found = dict.fromkeys(pipes, b"")
    end = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            if (left_s := end - time.monotonic()) <= 0:
                with contextlib.suppress(ProcessLookupError, IndexError):
                    os.kill(int(found[pipes[-1]].split()[0]), signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(argv), timeout_s, found[pipes[0]], found[pipes[1]])
            for key, _ in selector.select(left_s):
                part = os.read(key.fd, 1 << 16)
                found[key.fd] += part
                if not part:
                    selector.unregister(key.fd)
    return list(found.values())


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next request with its three pipes; None when nobody asks any more."""
    head, pipes, _, _ = socket.recv_fds(connection, _HEAD.size, 3)
    if len(head) < _HEAD.size:
        return None
    (wanted,) = _HEAD.unpack(head)
    body = b""
    while len(body) < wanted:
        body += connection.recv(wanted - len(body))
    return json.loads(body), pipes


def _keep(pid: int, told: int) -> None:
    """Tell who a command is, and how it ended: a signal's number is negative."""
    os.write(told, f"{pid} ".encode())
    _, status = os.waitpid(pid, 0)
    os.write(told, str(os.waitstatus_to_exitcode(status)).encode())


def _become(request: Mapping[str, Any], pipes: Sequence[int]) -> None:
    """Make this process what `subprocess.run` would have started."""
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    for number, pipe in enumerate(pipes[:2], start=1):
        os.dup2(pipe, number)
    for pipe in pipes:
        os.close(pipe)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environ"])
    sys.argv = ["aegis-tui", *request["arguments"]]


def serve(connection: socket.socket) -> None:
    """Fork a process for each request, until the other end closes; returns in each of them as well."""
    for name in (*(f"aegis_tui.cli.{module}" for module in WARM), *_LATER):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    while found := _receive(connection):
        request, pipes = found
        if os.fork() == 0:
            connection.close()
            if (pid := os.fork()) == 0:
                _become(request, pipes)
                return
            for pipe in pipes[:2]:
                os.close(pipe)
            _keep(pid, pipes[2])
            os._exit(0)
        for pipe in pipes:
            os.close(pipe)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    os._exit(0)


def _run_command() -> NoReturn:
    """Run the command that this process is now, and end; all but the memory is put away as by an interpreter's end."""
    code: object = 0
    try:
        runpy.run_module("aegis_tui", run_name="__main__")
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
    _run_command()
