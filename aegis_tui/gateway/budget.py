"""Refuses calls of instances that have used what they may use of the models, or whose run has (LLM-5)."""

from __future__ import annotations

import time
from collections.abc import Callable

from aegis_tui.domain.count import counted
from aegis_tui.gateway.access import GatewayMap
from aegis_tui.gateway.ledger import Ledger
from aegis_tui.gateway.rejected import Rejected

CODE = "budget.spent"
_HINT = "raise it under [budget] in your settings, or by the options of the run"


def check_budget(caller: str, current: GatewayMap, ledger: Ledger, *, now: Callable[[], float] = time.time) -> None:
    """Return if a caller may make one more call, and refuse it else. A call that has begun is never cut off.

    The limits are those of the caller alone and of its run together: tokens, and minutes since the first call began.

    Args:
        caller: The agent id; callers outside of a run have no budget.
        current: The limits, and which instances belong to the run.
        ledger: What each caller has used so far.
        now: Returns the time of day in seconds.

    Raises:
        Rejected: A limit is reached (403, `budget.spent`).
    """
    run = current.runs.get(caller)
    if not current.budget or run is None:
        return
    mine = ledger.spent([caller])
    _check(caller, "instance", mine.tokens, mine.first_at, current, now())
    if "run_tokens" in current.budget or "run_minutes" in current.budget:
        ours = ledger.spent([name for name, its_run in current.runs.items() if its_run == run])
        _check(run, "run", ours.tokens, ours.first_at, current, now())


def _check(whose: str, kind: str, tokens: int, first_at: float | None, current: GatewayMap, now: float) -> None:
    most_tokens, most_minutes = (current.budget.get(f"{kind}_{unit}") for unit in ("tokens", "minutes"))
    if most_tokens is not None and tokens >= most_tokens:
        raise Rejected(403, CODE, f"{whose} has used {tokens:,} of {counted(int(most_tokens), 'token')}", _HINT)
    if most_minutes is not None and first_at is not None and now - first_at >= most_minutes * 60:
        words = f"{whose} may call the model for {most_minutes:g} minutes, which have passed"
        raise Rejected(403, CODE, words, _HINT)
