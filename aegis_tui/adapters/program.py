"""Runs programs in sessions of their own: output and time are limited, and all processes they start are ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from aegis_tui.adapters.disk import FolderMeter
from aegis_tui.adapters.process import end_child, end_marked
from aegis_tui.errors import Unavailable
from aegis_tui.ports.program import TAIL_BYTES, Bounds, ProgramResult

_log = logging.getLogger(__name__)

MARK = "AEGIS_PROGRAM"
"""A variable that all processes of a program inherit, so that one that left the session is found."""

_GRACE_S = 2.0
_CHUNK_BYTES = 65536
_MIB = 1024 * 1024


class SubprocessRunner:
    """Implements the port `ProgramRunner` with asyncio subprocesses."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        timeout_s: float,
        head_bytes: int = 0,
        tail_bytes: int = TAIL_BYTES,
        bounds: Bounds | None = None,
        follow: Callable[[bytes], object] | None = None,
    ) -> ProgramResult:
        """Run one program to its end, end everything that it started, and return how it ended; see `ProgramRunner`.

        It is ended (SIGTERM, two seconds later SIGKILL) when its time is up, or it exceeds a bound: then the exit code
        is None, and `stopped` says which bound, or is empty if the time was up. After a signal the exit code is
        negative. Standard output and error are kept together: the first `head_bytes` and the last `tail_bytes`.
        `environment` is its whole environment, but for the variable AEGIS_PROGRAM. `follow` gets each part of the
        output when it comes, and must not raise: what it raises is lost, and no further output is then read.

        Raises:
            Unavailable: There is no such program, or no such folder `cwd`.
            OSError: It cannot be started for another reason.
        """
        started = time.monotonic()
        kept = _Kept(head_bytes, tail_bytes, bounds.output_bytes if bounds else None, follow)
        stopped, exit_code = "", None
        async with _started(argv, cwd, environment, kept) as (process, drained):
            stopped = await _wait(process, kept, bounds, timeout_s)
            exit_code = process.returncode
        # A process that left the session may keep the pipe open for ever, so this does not wait for it.
        await asyncio.wait({drained}, timeout=_GRACE_S)
        drained.cancel()
        duration_s = time.monotonic() - started
        _log.info("program ran", extra={"argv": list(argv[-3:]), "exit_code": exit_code, "duration_s": duration_s})
        return ProgramResult(exit_code, kept.text(), duration_s, stopped)


async def _wait(process: asyncio.subprocess.Process, kept: _Kept, bounds: Bounds | None, timeout_s: float) -> str:
    """Wait until the program has ended, its time is up, or it exceeded a bound; return which bound, in words.

    Empty if it ended, when `process` has a `returncode`, or its time is up. The program is not ended here.

    Args:
        process: The program.
        kept: Reads its output meanwhile, and knows the bound of that.
        bounds: Only the size of the folders in it is watched; None for no such bound.
        timeout_s: The program's time, in seconds.
    """
    ended = asyncio.create_task(process.wait())
    watchers: dict[asyncio.Task[str], None] = {asyncio.create_task(kept.wait_until_over()): None}
    if bounds and bounds.folders:
        watchers[asyncio.create_task(_wait_for_disk(bounds))] = None
    try:
        await asyncio.wait({ended, *watchers}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return "" if ended.done() else next((task.result() for task in watchers if task.done()), "")
    finally:
        for task in (ended, *watchers):
            task.cancel()


async def _wait_for_disk(bounds: Bounds) -> str:
    """Wait until the folders exceed their bound, for ever if they never do; return that fact in words."""
    size = await FolderMeter().wait_until_over(bounds.folders, bounds.disk_bytes)
    return f"its worktree holds {size // _MIB} MiB; {bounds.disk_bytes // _MIB} MiB are allowed (limits.disk_mb)"


@contextlib.asynccontextmanager
async def _started(
    argv: Sequence[str], cwd: Path, environment: Mapping[str, str], kept: _Kept
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.Task[None]]]:
    """Start a program; yield it and the task that reads its output into `kept`; at the end, end all its processes.

    Raises:
        Unavailable: There is no such program, or no such folder `cwd`.
        OSError: It cannot be started for another reason.
    """
    mark = secrets.token_hex(16)
    read_end, write_end = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env={**environment, MARK: mark},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        os.close(read_end)
        raise Unavailable(f"{argv[0]} cannot be started: {error.strerror}", f"install {argv[0]}") from error
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    drained = asyncio.create_task(kept.read(read_end))
    try:
        yield process, drained
    finally:
        await _end_session(process)
        await asyncio.to_thread(end_marked, MARK, mark)


class _Kept:
    """Keeps the start and the end of a stream; if a start is kept, a line between them says how much is left out."""

    def __init__(
        self, head_bytes: int, tail_bytes: int, limit_bytes: int | None, follow: Callable[[bytes], object] | None
    ) -> None:
        self._follow = follow
        self._head_bytes, self._tail_bytes, self._limit_bytes = head_bytes, tail_bytes, limit_bytes
        self._head, self._tail, self._dropped, self._size = bytearray(), bytearray(), 0, 0
        self._over = asyncio.Event()

    async def read(self, read_end: int) -> None:
        """Read from the pipe until every writer has closed it, or until the limit is exceeded; then close it.

        What `follow` raises is raised, and the pipe is closed.

        Args:
            read_end: The file descriptor of the pipe.
        """
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader()
        pipe = os.fdopen(read_end, "rb", buffering=0)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
        try:
            while not self._over.is_set() and (chunk := await stream.read(_CHUNK_BYTES)):
                self._add(chunk)
        finally:
            transport.close()

    def _add(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._follow is not None:
            self._follow(chunk)
        room = max(0, self._head_bytes - len(self._head))
        self._head += chunk[:room]
        self._tail += chunk[room:]
        over = max(0, len(self._tail) - self._tail_bytes)
        self._dropped += over
        del self._tail[:over]
        if self._limit_bytes is not None and self._size > self._limit_bytes:
            self._over.set()

    async def wait_until_over(self) -> str:
        """Wait until more than the limit was printed, for ever without a limit; return that fact in words."""
        await self._over.wait()
        return f"it printed more than {(self._limit_bytes or 0) // _MIB} MiB (limits.output_mb)"

    def text(self) -> str:
        """Return the kept output as text, invalid UTF-8 replaced; if a start is kept, a line says how much is left out.

        Without a start, what is left out before the end is not mentioned.
        """
        gap = f"\n[{self._dropped} bytes left out]\n".encode() if self._dropped and self._head_bytes else b""
        return bytes(self._head + gap + self._tail).decode("utf-8", "replace")


async def _end_session(process: asyncio.subprocess.Process) -> None:
    """End the rest of the program's process group, and wait for the program.

    First with SIGTERM, so that a program can clean up, and two seconds later, or once it has ended, with SIGKILL. What
    may not be signalled is left.
    """
    try:
        with contextlib.suppress(ProcessLookupError, PermissionError, TimeoutError):
            os.killpg(process.pid, signal.SIGTERM)
            async with asyncio.timeout(_GRACE_S):
                await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await end_child(process)
