"""Asks a program of this package in a process of its own, which can be ended at any time."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from typing import IO, Final

from aegis_tui.adapters.process import end_child
from aegis_tui.domain.inert import inert

_MOST_BYTES: Final = 1 << 20
_TAIL_BYTES: Final = 4000
_log = logging.getLogger(__name__)


async def ask_program(name: str, question: bytes, *, timeout_s: float) -> bytes:
    """Return what a Python program prints for a question; the process has ended when this returns, or is cancelled.

    The result is cut off soon after 1 MiB. It is empty if the program cannot be started, or has not ended its output in
    time. Raises nothing. If the program fails, the end of what it wrote to stderr is logged.

    Args:
        name: The module that is run as a program.
        question: What it gets as stdin.
        timeout_s: How long it may take.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", name),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        except OSError:
            return b""
        try:
            async with asyncio.timeout(timeout_s):
                return await _answer(process, question)
        except (TimeoutError, OSError):
            return b""
        finally:
            await end_child(process)
            if process.returncode is not None and process.returncode > 0:
                _log.error("the program %s failed:\n%s", name, await asyncio.to_thread(_tail, errors))


async def _answer(process: asyncio.subprocess.Process, question: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        return b""
    process.stdin.write(question)
    process.stdin.write_eof()
    said = bytearray()
    while chunk := await process.stdout.read(65536):
        said += chunk
        if len(said) > _MOST_BYTES:
            break
    return bytes(said)


def _tail(file: IO[bytes]) -> str:
    """Return the end of a file as text without hidden characters."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
    return inert(file.read().decode("utf-8", "replace"), keep="\n")
