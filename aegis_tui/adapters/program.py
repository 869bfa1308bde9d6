"""Programs as subprocesses in sessions of their own, their output bounded, their descendants ended with them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from aegis_tui.errors import Unavailable
from aegis_tui.ports.program import TAIL_BYTES, ProgramResult

_log = logging.getLogger(__name__)

_GRACE_S = 2.0


class SubprocessRunner:
    """A `ProgramRunner` on asyncio subprocesses."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        timeout_s: float,
        head_bytes: int = 0,
        tail_bytes: int = TAIL_BYTES,
    ) -> ProgramResult:
        """Run one program to its end; see `ProgramRunner`."""
        started = time.monotonic()
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                cwd=cwd,
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise Unavailable(f"{argv[0]} cannot be started: {error.strerror}", f"install {argv[0]}") from error
        kept = _Kept(head_bytes, tail_bytes)
        reader = asyncio.create_task(kept.read(process.stdout))
        try:
            async with asyncio.timeout(timeout_s):
                await process.wait()
            exit_code = process.returncode
        except TimeoutError:
            exit_code = None
        finally:
            await _end_group(process)
        # What left the group may hold the pipe open for ever: it is not waited for.
        await asyncio.wait({reader}, timeout=_GRACE_S)
        reader.cancel()
        duration_s = time.monotonic() - started
        _log.info("program ran", extra={"argv": list(argv[-3:]), "exit_code": exit_code, "duration_s": duration_s})
        return ProgramResult(exit_code, kept.text(), duration_s)


class _Kept:
    """The beginning and the end of a stream; where a head is kept, a line between them says what is left out."""

    def __init__(self, head_bytes: int, tail_bytes: int) -> None:
        self._head_bytes, self._tail_bytes = head_bytes, tail_bytes
        self._head, self._tail, self._dropped = bytearray(), bytearray(), 0

    async def read(self, stream: asyncio.StreamReader | None) -> None:
        """Take everything until the stream ends."""
        while stream is not None and (chunk := await stream.read(65536)):
            room = max(0, self._head_bytes - len(self._head))
            self._head += chunk[:room]
            self._tail += chunk[room:]
            over = max(0, len(self._tail) - self._tail_bytes)
            self._dropped += over
            del self._tail[:over]

    def text(self) -> str:
        """What is kept, as text."""
        gap = f"\n[{self._dropped} bytes left out]\n".encode() if self._dropped and self._head_bytes else b""
        return bytes(self._head + gap + self._tail).decode("utf-8", "replace")


async def _end_group(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        try:
            async with asyncio.timeout(_GRACE_S):
                await process.wait()
        except TimeoutError:
            continue
        if not _group_lives(process.pid):
            return


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
