"""The options of a run: those chosen for this run, completed from the person's settings (contract 4)."""

from __future__ import annotations

from typing import Any, cast

from aegis_tui.config import Settings
from aegis_tui.domain.wire.run import GivenOptions

CHOSEN_ONCE = ("workers", "kind", "agent_mode", "base_url", "model", "sandbox", "boundary")
"""Options that a person can set for all runs in the settings."""


def run_options(settings: Settings, **chosen: Any) -> GivenOptions:
    """Return the `options` of a `run:start` command.

    Args:
        settings: The person's settings; they give each option of `CHOSEN_ONCE`, such as `model`, that is not chosen,
            and the limits of the feedback loop.
        chosen: Options by name, those of `CHOSEN_ONCE` or others; None means not chosen. Limits in `budget` replace
            those of the settings one by one.
    """
    options = {name: getattr(settings, name) for name in CHOSEN_ONCE}
    options |= {"max_rounds": settings.rounds, "handovers": settings.handovers, "piece_checks": settings.qa.pieces}
    budget = settings.budget.model_dump(exclude_none=True) | (chosen.pop("budget", None) or {})
    if budget:
        options["budget"] = budget
    return cast(GivenOptions, options | {name: value for name, value in chosen.items() if value is not None})
