"""The options of a run: what was chosen for this one, and what the person's settings say otherwise (contract 4)."""

from __future__ import annotations

from typing import Any

from aegis_tui.config import Settings

CHOSEN_ONCE = ("workers", "kind", "base_url", "model", "sandbox")
"""Options that a person may set for all runs."""


def run_options(settings: Settings, **chosen: Any) -> dict[str, Any]:
    """The `options` of `run:start`.

    Args:
        settings: The person's, for what is not chosen.
        chosen: Options by name; one that is None is not chosen.
    """
    options = {name: getattr(settings, name) for name in CHOSEN_ONCE}
    return options | {name: value for name, value in chosen.items() if value is not None}
