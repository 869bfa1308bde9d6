"""Settings of a person and of a workspace: one frozen model, loaded once, handed down (contract 1, 10).

Precedence: flag, environment, project file, user file, default. Endpoint, tokens and sandbox level never come from the
project file: a repository must not choose where its code is sent.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import re
import textwrap
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from aegis_tui.config_files import project_file
from aegis_tui.config_files import user_file as user_file
from aegis_tui.errors import UsageError

DEFAULT_BASE_URL = "http://localhost:8001/v1"
"""Where a model server is looked for when nothing else is said (contract 10)."""

NOT_FROM_PROJECT = frozenset({"base_url", "api_key_file", "sandbox", "port", "limits"})
"""Settings that a project's own file may not set (contract 1)."""

ENVIRONMENT: Mapping[str, str] = {
    "base_url": "AEGIS_BASE_URL",
    "api_key_file": "AEGIS_API_KEY_FILE",
    "model": "AEGIS_MODEL",
    "workers": "AEGIS_WORKERS",
    "batch": "AEGIS_BATCH",
    "port": "AEGIS_PORT",
    "orphan_s": "AEGIS_ORPHAN_S",
}
"""Setting -> variable that goes before both files (contract 10)."""

Source = Literal["flag", "environment", "project", "user", "default"]


class Origin(NamedTuple):
    """Where the value of a setting comes from."""

    source: Source
    where: str = ""
    """File and line, or the variable; empty for a default."""


class Limits(BaseModel):
    """How much one sandbox may use: that of an agent, or that of QA. `[limits]` in the user file."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    processes: int = Field(2048, ge=16)
    """Processes and threads at once."""
    memory_mb: int | None = Field(None, ge=64)
    """Memory in MiB of all processes, or of each where they cannot be counted together; half of it when unset."""
    file_mb: int = Field(8192, ge=1)
    """The largest file in MiB."""
    disk_mb: int = Field(20480, ge=1)
    """What may lie in the worktree, in MiB."""
    temporary_mb: int = Field(2048, ge=1)
    """What may lie in each folder that is kept in memory (`/tmp`, `/dev/shm`), in MiB."""
    output_mb: int = Field(256, ge=1)
    """What a QA command may print, in MiB."""


class QaSettings(BaseModel):
    """How the project's own checks are run."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    timeout_s: float = Field(1800.0, gt=0, le=86_400)
    """The longest that one command may take, in seconds, where the design says nothing."""


class Settings(BaseModel):
    """Everything a person may choose once."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    base_url: str = DEFAULT_BASE_URL
    """OpenAI-compatible endpoint, with or without `/v1`."""
    api_key_file: Path | None = None
    """File that holds the model server's key: an absolute path, or one that begins with `~`; no key when unset."""
    model: str | None = None
    """Model name; when unset, the one that the server lists, or the first of several that can chat with tools."""
    workers: int = Field(8, ge=1, le=64)
    """Workers at once."""
    batch: int | None = Field(None, ge=1)
    """Sequences at once for a vLLM that this program starts."""
    port: int | None = Field(None, ge=0, le=65535)
    """The hub's port; 0 is any free one; 9999 or any free one when unset."""
    orphan_s: float = Field(600.0, ge=1.0, le=86_400.0)
    """How long agents work on after their hub is gone, in seconds; then they commit what they have, and end."""
    sandbox: Literal["auto", "strict", "off"] = "auto"
    """How agents are held."""
    limits: Limits = Limits.model_construct()
    """How much a sandbox may use."""
    theme: str | None = None
    """Theme of the interactive session; its own default when unset."""
    layout: str | None = None
    """Layout of the dashboard; its own default when unset."""
    kind: str = "native"
    """Agent kind for roles that a design does not name one for."""
    qa: QaSettings = QaSettings.model_construct()
    """Limits of QA, as a table: `[qa]` with `timeout_s`."""

    @field_validator("api_key_file", mode="after")
    @classmethod
    def _expand(cls, path: Path | None) -> Path | None:
        if path is None:
            return None
        try:
            path = path.expanduser()
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        if not path.is_absolute():
            raise ValueError("must be an absolute path, or begin with ~")
        return path


def load_settings(environ: Mapping[str, str], *, project: Path | None = None) -> Settings:
    """The settings that hold here.

    Args:
        environ: The environment; AEGIS_CONFIG names another user file.
        project: Root of the checkout whose `.agents/config.toml` counts.

    Raises:
        UsageError: A file or variable holds an unknown name or a value that does not fit; the message says where.
    """
    return trace_settings(environ, project=project)[0]


def trace_settings(environ: Mapping[str, str], *, project: Path | None = None) -> tuple[Settings, dict[str, Origin]]:
    """As `load_settings`, and beside it where each value comes from, by the setting's name."""
    merged: dict[str, Any] = {}
    origins = dict.fromkeys(Settings.model_fields, Origin("default"))
    for path, is_project in _files(environ, project):
        source: Source = "project" if is_project else "user"
        for name, (value, line) in _read(path, is_project=is_project).items():
            merged[name], origins[name] = value, Origin(source, f"{path}:{line}")
    for name, variable in ENVIRONMENT.items():
        if text := environ.get(variable):
            merged[name], origins[name] = text, Origin("environment", variable)
    if not merged:  # its validator, which costs a start some 20 ms, has nothing to look at
        return Settings.model_construct(), origins
    try:
        return Settings.model_validate(merged), origins
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        names = [str(part) for part in first["loc"]]
        where = origins[names[0]].where
        reason = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{where}: setting {'.'.join(names)}: {reason}", f"change {where}") from error


def describe(model: type[BaseModel]) -> dict[str, str]:
    """What the text under each field of a settings model says, by the field's name.

    Read from the source when it is asked for: pydantic would read it at import, for 25 ms of every program's start.
    """
    (declared,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    if not isinstance(declared, ast.ClassDef):
        return {}
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(declared.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def _files(environ: Mapping[str, str], project: Path | None) -> list[tuple[Path, bool]]:
    files = [(user_file(environ), False)]
    if project is not None:
        files.append((project_file(project), True))
    return [(path, is_project) for path, is_project in files if path.is_file()]


def _read(path: Path, *, is_project: bool) -> dict[str, tuple[Any, int]]:
    """Name -> value and line of each setting in a file."""
    try:
        text = path.read_text("utf-8")
        values = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}", "mend the file, or move it away") from error
    found = {}
    for name, value in values.items():
        line = _line_of(text, name)
        if name not in Settings.model_fields:
            near = difflib.get_close_matches(name, Settings.model_fields, 1)
            hint = f"did you mean {near[0]}?" if near else "remove it"
            raise UsageError(f"{path}:{line}: unknown setting {name}", hint)
        if is_project and name in NOT_FROM_PROJECT:
            hint = f"set it in {user_file({})} or by a flag"
            raise UsageError(f"{path}:{line}: {name} may not be set by a project", hint)
        found[name] = (value, line)
    return found


def _line_of(text: str, name: str) -> int:
    """The line that a top-level name of a TOML file starts on; 1 where it cannot be told."""
    start = re.compile(rf"\s*\[*\s*[\"']?{re.escape(name)}\b")
    return next((number for number, line in enumerate(text.splitlines(), 1) if start.match(line)), 1)
