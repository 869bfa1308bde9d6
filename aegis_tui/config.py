"""Settings of a person and of a workspace: one frozen model, loaded once, handed down (contract 1, 10).

Precedence: flag, environment, project file, user file, default. Endpoint, tokens and sandbox level never come from the
project file: a repository must not choose where its code is sent.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aegis_tui.errors import UsageError

DEFAULT_BASE_URL = "http://localhost:8001/v1"
"""Where a model server is looked for when nothing else is said (contract 10)."""

NOT_FROM_PROJECT = frozenset({"base_url", "sandbox", "port"})
"""Settings that a project's own file may not set (contract 1)."""

_ENVIRONMENT = {
    "base_url": "AEGIS_BASE_URL",
    "model": "AEGIS_MODEL",
    "workers": "AEGIS_WORKERS",
    "batch": "AEGIS_BATCH",
    "port": "AEGIS_PORT",
}


class Settings(BaseModel):
    """Everything a person may choose once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = DEFAULT_BASE_URL
    """OpenAI-compatible endpoint, with or without `/v1`."""
    model: str | None = None
    """Model name; the first that the server lists when unset."""
    workers: int = Field(8, ge=1, le=64)
    """Workers at once."""
    batch: int | None = Field(None, ge=1)
    """Sequences at once for a vLLM that this program starts."""
    port: int | None = Field(None, ge=1, le=65535)
    """The hub's port; 9999 or any free one when unset."""
    sandbox: Literal["auto", "strict", "off"] = "auto"
    """How agents are held."""
    kind: str = "native"
    """Agent kind for roles that a design does not name one for."""


def load_settings(environ: Mapping[str, str], *, project: Path | None = None) -> Settings:
    """The settings that hold here.

    Args:
        environ: The environment; AEGIS_CONFIG names another user file.
        project: Root of the checkout whose `.agents/config.toml` counts.

    Raises:
        UsageError: A file or variable holds an unknown name or a value that does not fit; the message says where.
    """
    merged: dict[str, Any] = {}
    for path, is_project in _files(environ, project):
        merged |= _read(path, is_project=is_project)
    for name, variable in _ENVIRONMENT.items():
        if text := environ.get(variable):
            merged[name] = text
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0])
        raise UsageError(f"setting {name}: {first['msg']}", f"change {_ENVIRONMENT.get(name, name)}") from error


def user_file(environ: Mapping[str, str]) -> Path:
    """Where a person's own settings are (contract 1)."""
    if named := environ.get("AEGIS_CONFIG"):
        return Path(named)
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or Path.home()) / ".config")
    return Path(home) / "aegis-tui" / "config.toml"


def _files(environ: Mapping[str, str], project: Path | None) -> list[tuple[Path, bool]]:
    files = [(user_file(environ), False)]
    if project is not None:
        files.append((project / ".agents" / "config.toml", True))
    return [(path, is_project) for path, is_project in files if path.is_file()]


def _read(path: Path, *, is_project: bool) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}", "mend the file, or move it away") from error
    for name in values:
        if name not in Settings.model_fields:
            near = difflib.get_close_matches(name, Settings.model_fields, 1)
            raise UsageError(f"{path}: unknown setting {name}", f"did you mean {near[0]}?" if near else "remove it")
        if is_project and name in NOT_FROM_PROJECT:
            raise UsageError(f"{path}: {name} may not be set by a project", f"set it in {user_file({})} or by a flag")
    return values
