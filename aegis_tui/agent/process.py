"""Runs one program to its end, with a deadline, and never leaves a process of its group behind (PANE-8)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_DRAIN_S = 2.0
_CHUNK_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended. `output` is what it wrote, with the middle left out if it was too long."""

    code: int
    """Exit code; negative: the signal that ended it."""
    output: str
    timed_out: bool


class _HeadAndTail:
    """Keeps the first and the last bytes of a stream, half of the limit each, and counts those left out."""

    def __init__(self, limit_bytes: int) -> None:
        self._half = limit_bytes // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def add(self, chunk: bytes) -> None:
        room = self._half - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        if (extra := len(self._tail) - self._half) > 0:
            del self._tail[:extra]
            self._dropped += extra

    def text(self, errors: str) -> str:
        gap = f"\n[... {self._dropped} bytes left out ...]\n".encode() if self._dropped else b""
        return bytes(self._head + gap + self._tail).decode("utf-8", errors)


async def run_process(
    argv: Sequence[str],
    *,
    cwd: Path,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    limit_bytes: int = 65536,
    with_errors: bool = True,
    errors: str = "replace",
) -> Finished:
    """Run `argv` without a terminal or standard input, in its own session, and return when it has ended.

    Processes that it has left in its group are killed then. If its time is up, or the caller is cancelled, so is all
    of the group; in the first case the result has `timed_out`, a negative code, and the output so far.

    Args:
        argv: Program and arguments; no shell is involved.
        cwd: Folder to run in.
        timeout_s: Seconds after which the whole process group is killed.
        environment: Variables on top of this process's own.
        limit_bytes: The most output to keep, half from the start and half from the end.
        with_errors: Whether standard error is kept, mixed into the output; else it is dropped.
        errors: How output that is not UTF-8 is decoded, as for `bytes.decode`.

    Raises:
        OSError: The program cannot be started.
        UnicodeDecodeError: With `errors="strict"`, the output is not UTF-8.
    """
    process, read_end = await _start(argv, cwd, environment or {}, with_errors=with_errors)
    kept = _HeadAndTail(limit_bytes)
    drain = asyncio.create_task(_drain(read_end, kept))
    timed_out = False
    try:
        async with asyncio.timeout(timeout_s):
            await process.wait()
    except TimeoutError:
        timed_out = True
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await _finish(drain)
    code = process.returncode if process.returncode is not None else -signal.SIGKILL
    return Finished(code, kept.text(errors), timed_out)


async def _start(
    argv: Sequence[str], cwd: Path, environment: Mapping[str, str], *, with_errors: bool
) -> tuple[asyncio.subprocess.Process, int]:
    """Start the program in a session of its own; return it and the read end of the pipe that receives its output.

    The caller has to close the read end.

    Raises:
        OSError: The program cannot be started; the pipe is closed.
    """
    read_end, write_end = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end if with_errors else asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    return process, read_end


async def _drain(read_end: int, kept: _HeadAndTail) -> None:
    """Read the pipe into `kept` until every writer has closed its end of it, then close it.

    The pipe is not asyncio's, because then `wait()` would also wait for processes that the program left behind.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    pipe = os.fdopen(read_end, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            kept.add(chunk)
    finally:
        transport.close()


async def _finish(drain: asyncio.Task[None]) -> None:
    done, _ = await asyncio.wait({drain}, timeout=_DRAIN_S)
    if not done:
        drain.cancel()
        await asyncio.wait({drain})
