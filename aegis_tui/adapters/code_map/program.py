"""Asks a program of this package in a process of its own, which can be ended at any time."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from aegis_tui.adapters.process import end_child

_MOST_BYTES: Final = 1 << 20


async def ask_program(name: str, question: bytes, *, timeout_s: float) -> bytes:
    """Return what a Python program prints for a question; the process has ended when this returns, or is cancelled.

    The result is cut off soon after 1 MiB. It is empty if the program cannot be started, or has not ended its output in
    time. Raises nothing.

    Args:
        name: The module that is run as a program.
        question: What it gets as stdin.
        timeout_s: How long it may take.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", name),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return b""
    try:
        async with asyncio.timeout(timeout_s):
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
    except (TimeoutError, OSError):
        return b""
    finally:
        await end_child(process)
