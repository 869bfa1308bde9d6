"""Tries to break out of a sandbox that has the flags of instances, and reports whether that was prevented."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aegis_tui.adapters.process import end_child
from aegis_tui.adapters.sandbox.remedy import first_words
from aegis_tui.config import Limits
from aegis_tui.ports.sandbox import SandboxSpec

_DEADLINE_S = 15.0
_PROCESSES = 24
"""The process limit of the probe, fewer than it tries to start."""

_ATTEMPT = """
import json, os, socket, sys
FORKS = 40
inside, outside, secret, folder, port = *sys.argv[1:5], int(sys.argv[5])
def writes(path):
    try:
        with open(path, "w") as file:
            file.write("x")
        return True
    except OSError:
        return False
def reads(path):
    try:
        with open(path, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False
def connects(family, address, cwd="/"):
    try:
        os.chdir(cwd)
        with socket.socket(family) as client:
            client.settimeout(2)
            client.connect(address)
        return True
    except OSError:
        return False
def listens():
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 53))
        return True
    except OSError:
        return False
def forks():
    made, (out, end) = 0, os.pipe()
    try:
        for made in range(FORKS):
            if os.fork() == 0:
                os.close(end)
                os.read(out, 1)
                os._exit(0)
    except OSError:
        return made
    return FORKS
seen = {"forks": forks(), "pid": os.getpid(), "listens": listens()}
seen.update(inside=writes(inside), outside=writes(outside), reads=reads(secret))
seen["tcp"] = connects(socket.AF_INET, ("127.0.0.1", port))
seen["unix"] = connects(socket.AF_UNIX, "socket", folder)
seen["abstract"] = connects(socket.AF_UNIX, "\\0" + os.path.basename(folder))
print(json.dumps(seen))
"""


@dataclass(frozen=True)
class Findings:
    """What a program in the sandbox could do when it tried to get out, and the version of the sandbox program."""

    version: str
    """The program's own version text: `bubblewrap 0.8.0`."""
    problem: str = ""
    """One line that says what was not prevented or did not work; empty if everything was prevented."""
    serves_names: bool = False
    """Whether the program could listen on port 53 of its own loopback address."""
    has_process_limit: bool = False
    """Whether the limit on the number of processes works."""


async def try_to_get_out(wrap: Callable[[Sequence[str], SandboxSpec], list[str]], program: str) -> Findings:
    """Run a program in the sandbox that tries forbidden writes, reads and connections; return what it could do.

    If the sandbox does not work, this does not raise: `problem` of the result says why.

    Args:
        wrap: Returns the command line that runs a program in a sandbox.
        program: Path of the sandbox program.

    Raises:
        OSError: A temporary folder or a listening port cannot be created.
    """
    code, version, errors = await run_probe([program, "--version"])
    if code != 0:
        return Findings("", f"{program} does not start: {first_words(errors, code)}")
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=f"aegis-probe-{os.getpid()}-"))
    try:
        async with _listeners(folder) as port:
            return await _attempt(wrap, folder, port, version)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _attempt(
    wrap: Callable[[Sequence[str], SandboxSpec], list[str]], folder: Path, port: int, version: str
) -> Findings:
    worktree, outside, secret = folder / "worktree", folder / "outside", folder / "secret"
    worktree.mkdir()
    outside.mkdir()
    secret.write_text("a file that is not shown", encoding="ascii")
    spec = SandboxSpec(
        worktree=worktree,
        cwd=worktree,
        read_only=(outside,),
        serves_names=True,
        own_session=True,
        limits=Limits(processes=_PROCESSES),
    )
    places = [worktree / "file", outside / "file", secret, folder]
    script = [sys.executable, "-I", "-c", _ATTEMPT, *map(str, places), str(port)]
    code, out, err = await run_probe(wrap(script, spec))
    if code != 0:
        return Findings(version, first_words(err, code))
    seen = json.loads(out)
    return Findings(
        version,
        _judge(seen, wrote_outside=(outside / "file").exists()),
        serves_names=seen["listens"],
        has_process_limit=seen["forks"] < _PROCESSES,
    )


def _judge(seen: dict[str, Any], *, wrote_outside: bool) -> str:
    if not seen["inside"]:
        return "the worktree is not writable inside"
    if seen["outside"] or wrote_outside:
        return "a write outside the worktree was possible"
    if seen["reads"]:
        return "a hidden file could be read"
    if seen["tcp"]:
        return "a connection to another port was possible"
    if seen["unix"] or seen["abstract"]:
        return "a connection to a socket of this machine was possible"
    return "" if seen["pid"] < 100 else "processes are not separated"


async def run_probe(argv: Sequence[str]) -> tuple[int, str, str]:
    """Return exit status, stdout (stripped) and stderr of a command; negative after a signal.

    127 if it does not start, with the reason as stderr; 124 if it took over 15 s, when it is killed. Raises nothing.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        return 127, "", str(error)
    try:
        async with asyncio.timeout(_DEADLINE_S):
            out, err = await process.communicate()
    except TimeoutError:
        return 124, "", f"no answer within {_DEADLINE_S:.0f} s"
    finally:
        if process.returncode is None:
            await end_child(process)
    return process.returncode or 0, out.decode(errors="replace").strip(), err.decode(errors="replace")


@contextlib.asynccontextmanager
async def _listeners(folder: Path) -> AsyncIterator[int]:
    """Let servers of the host accept connections as long as the context is open.

    They listen on a loopback port, which is yielded, and on two unix sockets: `socket` in the folder, as that of tmux,
    and the abstract name that is the folder's. The path of the folder may be longer than that of a socket.

    Raises:
        OSError: On entering: one of them cannot be created.
    """
    async with contextlib.AsyncExitStack() as stack:
        tcp = await stack.enter_async_context(await asyncio.start_server(_accept, "127.0.0.1", 0))
        short = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, short)
        for address in (f"/proc/self/fd/{short}/socket", f"\0{folder.name}"):
            await stack.enter_async_context(await asyncio.start_unix_server(_accept, address))
        yield tcp.sockets[0].getsockname()[1]


def _accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
