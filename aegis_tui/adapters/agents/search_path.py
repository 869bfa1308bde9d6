"""Where agent programs are searched: on PATH, then where `scripts/install-agents` puts them; imports very little."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def search_path(environ: Mapping[str, str]) -> str:
    """Return PATH, and after it the folder into which `scripts/install-agents` puts programs, which may not exist.

    Args:
        environ: An environment; without PATH, the system's default is taken.
    """
    data = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME") or Path.home()) / ".local" / "share")
    return f"{environ.get('PATH', os.defpath)}:{Path(data) / 'aegis-tui' / 'agents' / 'bin'}"
