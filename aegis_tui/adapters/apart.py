"""Runs functions over untrusted text: a short one in a thread, a long one in a process of its own (SEC-2).

One regular expression search through megabytes blocks the interpreter, and with it the hub, until it ends. In a
separate process it blocks nothing, and is killed when it takes too long.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import resource
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from aegis_tui.adapters.process import end_child

_LOG = logging.getLogger(__name__)

LARGE = 256 * 1024
"""Text of up to this many characters is handled in this process, which takes milliseconds."""

ANSWER_S = 60.0
_MEMORY_BYTES = 2 * 1024**3

Answer = TypeVar("Answer")


class AnswerLostError(Exception):
    """The separate process failed or took too long; the text says which."""


async def ask_apart(function: Callable[..., Answer], arguments: tuple[Any, ...], *, size: int) -> Answer:
    """Return what a function returns for these arguments; it runs in a thread, or for long text in a separate process.

    The event loop is not blocked. The process is killed after a minute, or when the caller is cancelled; a thread runs
    to its end.

    Args:
        function: It must be importable by its module and name.
        arguments: They, and the answer, must be picklable.
        size: How many characters of untrusted text they hold; up to `LARGE` (256 Ki), a thread is used.

    Raises:
        AnswerLostError: The separate process failed, also because the function raised or needed over 2 GiB of memory,
            or took longer than a minute.
        OSError: The separate process cannot be started.
        Exception: In a thread, whatever the function raises.
    """
    if size <= LARGE:
        return await asyncio.to_thread(function, *arguments)
    said = await _ask_child(pickle.dumps((function, arguments)))
    try:
        answer: Answer = pickle.loads(said)  # written by our own process, not by what it looked at
    except (pickle.UnpicklingError, EOFError) as error:
        raise AnswerLostError(f"{function.__name__} failed on {size} characters, or took too long") from error
    return answer


async def _ask_child(question: bytes) -> bytes:
    """Start a Python process that runs `_answer`, and return what it writes; empty if it fails or takes over 60 s.

    It is killed then, and when the caller is cancelled.

    Args:
        question: The pickled pair of function and tuple of arguments.

    Raises:
        OSError: The process cannot be started.
    """
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", __name__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(ANSWER_S):
            said, complaint = await child.communicate(question)
    except TimeoutError:
        return b""
    finally:
        if child.returncode is None:
            await end_child(child)
    if child.returncode:
        _LOG.warning("a separate process failed", extra={"reason": complaint[-500:].decode("utf-8", "replace")})
        return b""
    return said


def _answer() -> None:
    """Run the separate process: read function and arguments from stdin, write the answer to stdout, both pickled.

    Processor time (60 s) and memory (2 GiB) are limited; the time in case its parent no longer exists. An error of the
    function ends the process, with its traceback on stderr.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (int(ANSWER_S), int(ANSWER_S)))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    function, arguments = pickle.load(sys.stdin.buffer)  # written by the hub, so it can be trusted
    sys.stdout.buffer.write(pickle.dumps(function(*arguments)))


if __name__ == "__main__":
    _answer()
