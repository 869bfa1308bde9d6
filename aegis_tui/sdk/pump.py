"""Passes bytes on from one connection to another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

_CHUNK_BYTES = 64 * 1024

OnChunk = Callable[[bytes], Awaitable[None]]
"""Gets each part of what is passed on, after it was sent."""


async def join_both(
    first: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    second: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    *,
    on_chunk: OnChunk | None = None,
    on_answer: OnChunk | None = None,
) -> None:
    """Pass bytes on between two connections, in both directions, until both have ended or are broken. Closes neither.

    A connection that breaks is no error.

    Args:
        first: Reader and writer of one connection.
        second: Those of the other.
        on_chunk: Gets what `first` sends.
        on_answer: Gets what `second` sends.

    Raises:
        ExceptionGroup: One of the two functions raised an error other than `OSError`.
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(pump(first[0], second[1], on_chunk))
        group.create_task(pump(second[0], first[1], on_answer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, on_chunk: OnChunk | None = None) -> None:
    """Pass bytes on until the sender ends or a connection breaks; then the receiver gets an end of file.

    Neither raises. Reading stops while the receiver takes nothing.

    Args:
        reader: The sender.
        writer: The receiver.
        on_chunk: Gets each part that was passed on. If it raises `OSError`, this ends; other errors are raised.
    """
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
            if on_chunk is not None:
                await on_chunk(chunk)
    with suppress(OSError, RuntimeError):
        writer.write_eof()


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection and return when it is closed; one that is broken is no error."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
