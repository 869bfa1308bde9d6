"""Where settings are written, and what two of them say to who cannot wait for all: see `aegis_tui.config`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def user_file(environ: Mapping[str, str]) -> Path:
    """Where a person's own settings are (contract 1)."""
    if named := environ.get("AEGIS_CONFIG"):
        return Path(named)
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or Path.home()) / ".config")
    return Path(home) / "aegis-tui" / "config.toml"


def project_file(project: Path) -> Path:
    """Where a project's settings are."""
    return project / ".agents" / "config.toml"


def peek(environ: Mapping[str, str], project: Path, name: str) -> str | None:
    """What the files say of a setting that is a text, the project's before the person's; None when they do not.

    Nothing is checked: `load_settings` does that a moment later. The first frame is drawn in the theme that this names.
    """
    for path in (project_file(project), user_file(environ)):
        if not path.is_file():  # a named pipe would keep the first frame waiting for ever
            continue
        with suppress(OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
            value = tomllib.loads(path.read_text("utf-8")).get(name)
            if isinstance(value, str):
                return value
    return None
