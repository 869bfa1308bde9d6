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
from aegis_tui.ports.program import ProgramResult

_log = logging.getLogger(__name__)

OUTPUT_LIMIT_BYTES = 256 * 1024
_GRACE_S = 2.0


class SubprocessRunner:
    """A `ProgramRunner` on asyncio subprocesses."""

    async def run(
        self, argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str], timeout_s: float
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
        reader = asyncio.create_task(_tail(process.stdout))
        try:
            async with asyncio.timeout(timeout_s):
                await process.wait()
            exit_code = process.returncode
        except TimeoutError:
            exit_code = None
        finally:
            await _end_group(process)
        output = await reader
        duration_s = time.monotonic() - started
        _log.info("program ran", extra={"argv": list(argv[-3:]), "exit_code": exit_code, "duration_s": duration_s})
        return ProgramResult(exit_code, output.decode("utf-8", "replace"), duration_s)


async def _tail(stream: asyncio.StreamReader | None) -> bytes:
    kept = bytearray()
    while stream is not None and (chunk := await stream.read(65536)):
        kept += chunk
        del kept[:-OUTPUT_LIMIT_BYTES]
    return bytes(kept)


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
