"""The paths of the settings files, and a quick look at one setting before all are loaded (`aegis_tui.config`)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def user_file(environ: Mapping[str, str]) -> Path:
    """Return the path of the person's own settings file (contract 1); it may not exist.

    That is the value of AEGIS_CONFIG, or else `aegis-tui/config.toml` in XDG_CONFIG_HOME, or else in `~/.config`.
    """
    if named := environ.get("AEGIS_CONFIG"):
        return Path(named)
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or Path.home()) / ".config")
    return Path(home) / "aegis-tui" / "config.toml"


def project_file(project: Path) -> Path:
    """Return the path of the settings file of the project with this root; it may not exist."""
    return project / ".agents" / "config.toml"


def peek(environ: Mapping[str, str], project: Path, name: str) -> str | None:
    """Return the value of a text setting from the project's file, else from the person's; None when neither has it.

    Nothing is checked here, and environment variables are not looked at; `load_settings` does both a moment later. A
    file that cannot be read and a value that is not text count as missing. The first frame uses this to find its theme.

    Args:
        environ: The environment, which says where the person's file is.
        project: Root of the project.
        name: The top-level name of the setting.
    """
    for path in (project_file(project), user_file(environ)):
        with suppress(OSError, UnicodeDecodeError, RecursionError, tomllib.TOMLDecodeError):
            if not path.is_file():  # reading a named pipe would block the first frame for ever
                continue
            value = tomllib.loads(path.read_text("utf-8")).get(name)
            if isinstance(value, str):
                return value
    return None
