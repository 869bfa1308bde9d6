"""Interprets the output of a check, in a separate process if it is long, as its author is not trusted (FLOW-7)."""

from __future__ import annotations

from collections.abc import Sequence

from aegis_tui.adapters.apart import AnswerLostError, ask_apart
from aegis_tui.domain.qa.assess import assess
from aegis_tui.domain.qa.check import CheckResult
from aegis_tui.domain.qa.outcome import Outcome
from aegis_tui.domain.qa.readers.base import QaReader

_REMEDY = "make the command print less, or see its output: aegis-tui qa --output CHECK"


async def assess_apart(command: str, outcome: Outcome, tools: Sequence[QaReader]) -> CheckResult:
    """Return the result of a QA command (its status, and what its output says), as `domain.qa.assess.assess` does.

    The event loop is not blocked: over 256 Ki of output and result files are read in a separate process. If that fails
    or takes over a minute, the status of the result is `not_run`, with a reason and a remedy.

    Args:
        command: The command as the person wrote it.
        outcome: How it ended, what it printed, and the result files that it left.
        tools: Readers of the test tools that it is known to start.

    Raises:
        OSError: The separate process cannot be started.
    """
    size = len(outcome.output) + sum(len(file.content) for file in outcome.files)
    try:
        return await ask_apart(assess_with, (command, outcome, tuple(tools)), size=size)
    except AnswerLostError:
        reason = "its output is too long to be read"
        return CheckResult(status="not_run", exit_code=outcome.exit_code, reason=reason, remedy=_REMEDY)


def assess_with(command: str, outcome: Outcome, tools: Sequence[QaReader]) -> CheckResult:
    """Return the result of a QA command from how it ended and what it printed, exactly as `assess` does.

    It takes `tools` by position, because `ask_apart` passes arguments by position only.
    """
    return assess(command, outcome, tools=tools)
