"""Connects the dialog of a first session to its adapters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from aegis_tui.adapters.agents.installed import describe_kinds
from aegis_tui.application.check import Check
from aegis_tui.application.first_use import FirstUse
from aegis_tui.bootstrap.checkout import make_setup
from aegis_tui.bootstrap.machine import make_doctor, make_model_check
from aegis_tui.config import Settings
from aegis_tui.config_files import user_file


def make_first_use(root: Path, settings: Settings, environ: Mapping[str, str]) -> FirstUse:
    """Return what the dialog of a first session works with; nothing has been examined or written yet.

    Args:
        root: The top folder of the checkout.
        settings: The settings in effect there.
        environ: The environment.
    """

    async def examine_model(base_url: str) -> list[Check]:
        chosen = settings.model_copy(update={"base_url": base_url})
        return await make_model_check(chosen, root, environ).examine()

    def kinds() -> list[str]:
        return [kind.name for kind in describe_kinds(environ) if not kind.fault and not kind.missing]

    return FirstUse(
        settings_file=user_file(environ),
        default_url=settings.base_url,
        setup=partial(make_setup, root),
        examine_machine=make_doctor(settings, root, environ).examine_machine,
        examine_model=examine_model,
        kinds=kinds,
    )
