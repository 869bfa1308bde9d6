"""Long output of a check is read in a process of its own (FLOW-7, SEC-3).

One search through megabytes holds the interpreter until it ends, and all that the hub does with it; and whoever writes
the tests writes what is searched. Here such a search stops nobody, and is ended when it takes too long.
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
"""What is shorter is read here: in thousandths of a second."""
READ_S = 60.0
_MEMORY_BYTES = 2 * 1024**3
_REMEDY = "let the command print less, or see its output: aegis-tui qa --output CHECK"


async def assess_apart(command: str, outcome: Outcome, tools: Sequence[QaReader]) -> CheckResult:
    """As `assess`; what is long in another process, and `not_run` where that does not come to an end."""
    if len(outcome.output) + sum(len(file.content) for file in outcome.files) <= LARGE:
        return await asyncio.to_thread(assess, command, outcome, tools=tools)
    said = await _ask_child(pickle.dumps((command, outcome, tuple(tools))))
    try:
        return CheckResult.model_validate_json(said)
    except ValidationError:
        reason = "its output is too long to be read"
        return CheckResult(status="not_run", exit_code=outcome.exit_code, reason=reason, remedy=_REMEDY)


async def _ask_child(question: bytes) -> bytes:
    """What the other process says; empty when it fails or takes too long."""
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
    """Be the other process: also when nobody waits any more, not for long."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(READ_S), int(READ_S)))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    command, outcome, tools = pickle.load(sys.stdin.buffer)  # the hub's own words
    sys.stdout.write(assess(command, outcome, tools=tools).model_dump_json())


if __name__ == "__main__":
    _answer()
