"""The server of `tests.forked`: it imports the package once, and forks a process for each program that is asked for."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from tests.forked import Program


class Server:
    """Forks a process for each connection, and says how it ended."""

    def __init__(self, door: socket.socket) -> None:
        self.door = door
        self.ends: dict[int, int] = {}
        self.woken, wake = socket.socketpair()
        for side in (self.woken, wake):
            side.setblocking(False)
        self.wake = wake
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno())

    def serve(self) -> dict[str, Any]:
        """Serve until the suite is gone; return in the process of a program, with what it is to run."""
        with selectors.DefaultSelector() as selector:
            for file in (self.door, self.woken, sys.stdin):
                selector.register(file, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is sys.stdin:
                        os._exit(0)
                    if key.fileobj is self.door:
                        if (found := self._fork()) is not None:
                            return found
                    else:
                        self._reap()

    def _fork(self) -> dict[str, Any] | None:
        connection, _ = self.door.accept()
        with connection:
            _, files, *_ = socket.recv_fds(connection, 1, 5)
        _load()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _become(files)
        for file in files[:-1]:
            os.close(file)
        os.write(files[-1], f"{pid} ".encode())
        self.ends[pid] = files[-1]
        return None

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self.woken.recv(4096):
                pass
        while self.ends:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            end = self.ends.pop(pid)
            with contextlib.suppress(BrokenPipeError):
                os.write(end, f"{os.waitstatus_to_exitcode(status)} ".encode())
            os.close(end)


def _load() -> None:
    """Import all there is, once."""
    if "aegis_tui" in sys.modules:
        return
    import aegis_tui

    for module in pkgutil.walk_packages(aegis_tui.__path__, "aegis_tui."):
        if not module.name.endswith("__main__") and ".sample" not in module.name:
            importlib.import_module(module.name)
    sys.path.insert(0, str(Path(__file__).parent))
    importlib.import_module("forked")
    sys.path.pop(0)
    gc.collect()
    gc.freeze()


def _become(files: list[int]) -> dict[str, Any]:
    """Take over what the program has of its own."""
    with os.fdopen(os.dup(files[0])) as text:
        request: dict[str, Any] = json.load(text)
    for number, file in enumerate(files[1:4]):
        os.dup2(file, number)
    os.closerange(3, 64)
    if request["own_session"]:
        os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environ"])
    for place, number in request["numbers"].items():
        module, _, name = place.partition(":")
        getattr(sys.modules[module], name)  # one that is gone is no constant any more
        setattr(sys.modules[module], name, number)
    discovery: Any = sys.modules["aegis_tui.sdk.discovery"]
    spawn = discovery._spawn
    discovery._spawn = lambda argv, root, log: _spawned(request["place"], argv, root, log) or spawn(argv, root, log)
    return request


def _spawned(place: str, argv: list[str], root: Path, log: int) -> Program | None:
    """The process of a hub that a program starts as it usually does; None, and `log` stays open, for any other."""
    discovery: Any = sys.modules["aegis_tui.sdk.discovery"]
    if argv != discovery.hub_command(root):
        return None
    program: type[Program] = sys.modules["forked"].Program

    module = argv.index("-m") + 1
    with os.fdopen(log, "ab"), Path(os.devnull).open("rb") as nothing:
        files = (nothing.fileno(), log, log)
        return program(argv[module:], folder=root, environ=os.environ, files=files, own_session=True, place=place)


def _run(module: str, arguments: list[str]) -> NoReturn:
    """Run a program and end as Python does, but for taking apart all that was imported: that is most of the time."""
    sys.argv = [module, *arguments]
    code: object = 0
    try:
        runpy.run_module(module, run_name="__main__")
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    if not isinstance(code, int):
        print(code, file=sys.stderr)  # as Python does
        code = 1
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    program = Server(socket.socket(fileno=int(sys.argv[1]))).serve()
    _run(program["module"], program["arguments"])
