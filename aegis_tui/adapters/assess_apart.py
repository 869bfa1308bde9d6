"""Interprets long output of a check in a separate process (FLOW-7, SEC-3).

One regular expression search through megabytes blocks the interpreter, and with it the hub, until it ends; and the
author of the tests decides what is searched. In a separate process it blocks nothing, and is killed when it takes too
long.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import resource
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from aegis_tui.adapters.process import end_child
from aegis_tui.domain.qa.assess import assess
from aegis_tui.domain.qa.check import CheckResult
from aegis_tui.domain.qa.outcome import Outcome
from aegis_tui.domain.qa.readers.base import QaReader

_LOG = logging.getLogger(__name__)

LARGE = 256 * 1024
"""Output up to this many bytes is interpreted in this process, which takes milliseconds."""
READ_S = 60.0
_MEMORY_BYTES = 2 * 1024**3
_REMEDY = "make the command print less, or see its output: aegis-tui qa --output CHECK"


async def assess_apart(command: str, outcome: Outcome, tools: Sequence[QaReader]) -> CheckResult:
    """Return the result of a QA command, as `aegis_tui.domain.qa.assess.assess` does, without blocking the event loop.

    Long output is read in a separate process; if that fails or takes too long, the status is `not_run`.

    Args:
        command: The command as the person wrote it.
        outcome: How it ended, what it printed, and the result files that it left.
        tools: Readers of the test tools that it is known to start.
    """
    if len(outcome.output) + sum(len(file.content) for file in outcome.files) <= LARGE:
        return await asyncio.to_thread(assess, command, outcome, tools=tools)
    said = await _ask_child(pickle.dumps((command, outcome, tuple(tools))))
    try:
        return CheckResult.model_validate_json(said)
    except ValidationError:
        reason = "its output is too long to be read"
        return CheckResult(status="not_run", exit_code=outcome.exit_code, reason=reason, remedy=_REMEDY)


async def _ask_child(question: bytes) -> bytes:
    """Return the answer of the separate process, JSON of a `CheckResult`; empty or cut off if the process fails.

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
        async with asyncio.timeout(READ_S):
            said, complaint = await child.communicate(question)
    except TimeoutError:
        _LOG.warning("output of a check was not read in time")
        return b""
    finally:
        if child.returncode is None:
            await end_child(child)
    if child.returncode:
        _LOG.warning("output of a check was not read", extra={"reason": complaint[-500:].decode("utf-8", "replace")})
    return said


def _answer() -> None:
    """Run the separate process: read the pickled arguments of `assess` from stdin, print its result as JSON.

    Processor time and memory are limited; the time in case its parent no longer exists.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (int(READ_S), int(READ_S)))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    command, outcome, tools = pickle.load(sys.stdin.buffer)  # written by the hub, so it can be trusted
    sys.stdout.write(assess(command, outcome, tools=tools).model_dump_json())


if __name__ == "__main__":
    _answer()
