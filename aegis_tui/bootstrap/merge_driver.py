"""The optional program that merges what nothing else can (GIT-3)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aegis_tui.adapters.git.mergiraf import Mergiraf, find_mergiraf
from aegis_tui.config import load_settings


async def find_driver(environ: Mapping[str, str], root: Path) -> Mergiraf | None:
    """Return mergiraf if the settings of a repository switch it on and it is there; else None.

    Raises:
        UsageError: A settings file is not valid.
    """
    return await find_mergiraf(environ) if load_settings(environ, project=root).mergiraf else None
