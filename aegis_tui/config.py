"""Settings of a person and of a project: one frozen model, loaded once and passed on.

Precedence: flag, environment, project file, user file, default. Endpoint, tokens and sandbox level never come from the
project file: a repository must not choose where its code is sent. Source: contract 1, 10.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import re
import stat
import textwrap
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from aegis_tui.config_files import project_file
from aegis_tui.config_files import user_file as user_file
from aegis_tui.domain.boundary import parse_address
from aegis_tui.domain.code_map.settings import MapSettings
from aegis_tui.domain.mcp_server import McpServer, check_server_name
from aegis_tui.errors import UsageError

DEFAULT_BASE_URL = "http://localhost:8001/v1"
"""The model server that is used when no setting names one (contract 10)."""

NOT_FROM_PROJECT = frozenset(
    {"base_url", "api_key_file", "sandbox", "boundary", "mcp", "port", "limits", "keys", "more_base_urls", "budget"}
) | {"map", "model_log", "environment.pass_on", "environment.show", "environment.copy_mb"}
"""Settings that a project's own file may not set (contract 1), a table or one setting of a table."""

ENVIRONMENT: Mapping[str, str] = {
    "base_url": "AEGIS_BASE_URL",
    "api_key_file": "AEGIS_API_KEY_FILE",
    "model": "AEGIS_MODEL",
    "workers": "AEGIS_WORKERS",
    "batch": "AEGIS_BATCH",
    "port": "AEGIS_PORT",
    "orphan_s": "AEGIS_ORPHAN_S",
}
"""Setting -> the environment variable that overrides both files (contract 10)."""

_REPAIR = "repair the file, or move it away"

Source = Literal["flag", "environment", "project", "user", "default"]


class Origin(NamedTuple):
    """Where the value of a setting comes from."""

    source: Source
    where: str = ""
    """File and line, or the name of the variable; empty for a default."""


class Limits(BaseModel):
    """How much one sandbox may use, that of an agent or that of QA: the table `[limits]` in the user file."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    processes: int = Field(2048, ge=16)
    """Maximum number of processes and threads in one sandbox at the same time."""
    memory_mb: int | None = Field(None, ge=64)
    """Memory in MiB for all processes, or for each if that cannot be limited. When unset: half of the machine's."""
    file_mb: int = Field(8192, ge=1)
    """Largest size that a file may have, in MiB."""
    disk_mb: int = Field(20480, ge=1)
    """Largest size that the worktree and the agent's home may have together, in MiB."""
    temporary_mb: int = Field(2048, ge=1)
    """Size of each folder that is kept in memory (`/tmp`, `/dev/shm`), in MiB."""
    output_mb: int = Field(256, ge=1)
    """How much a QA command may print, in MiB."""


class BudgetSettings(BaseModel):
    """How much a run may call the models: the table `[budget]` in the user file. A run's own options come first."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    instance_tokens: int | None = Field(None, ge=1)
    """Tokens that one instance may use, of its prompts and replies together. No limit when unset."""
    instance_minutes: float | None = Field(None, gt=0)
    """Minutes, counted from its first model call, in which one instance may call the model. No limit when unset."""
    run_tokens: int | None = Field(None, ge=1)
    """Tokens that all instances of a run may use together. No limit when unset."""
    run_minutes: float | None = Field(None, gt=0)
    """Minutes from the first model call of a run in which its instances may call the model. No limit when unset."""


class ModelLogSettings(BaseModel):
    """What is stored of calls of the models: the table `[model_log]` in the user file."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kept_mb: int = Field(256, ge=0, le=1_048_576)
    """How much disk space the requests and answers of model calls may take in each workspace, in MiB; the oldest are
    deleted first. They stay on this machine, and only you can read them. 0 stores none, and deletes those that were
    stored."""


class QaSettings(BaseModel):
    """How the project's own checks are run."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    timeout_s: float = Field(1800.0, gt=0, le=86_400)
    """The longest that one command may take, in seconds, unless the design sets another limit."""
    pieces: bool = True
    """Whether the checks also run on each piece, merged with what is merged already, before the piece is merged."""


class RescueSettings(BaseModel):
    """When work that was saved before its worktree was removed is deleted again: the table `[rescue]`.

    By default after 90 days, merged work after 14 days, or earlier if all saved work takes more than 2048 MiB.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    days: float = Field(90.0, ge=0)
    """After how many days saved work is deleted, merged or not; 0 keeps it for ever."""
    merged_days: float = Field(14.0, ge=0)
    """After how many days saved work is deleted if all of it is merged."""
    budget_mb: int = Field(2048, ge=1)
    """How much disk space saved work may take, in MiB. If it takes more, merged work is deleted, oldest first; if that
    is not enough, a run warns."""


class WorktreeSettings(BaseModel):
    """How much disk space worktrees may take: the table `[worktrees]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    budget_mb: int = Field(51_200, ge=1)
    """How much disk space the worktrees of one repository may take, in MiB. If they take more when a hub starts, those
    that no instance uses and that have no uncommitted content are removed, oldest first; a run warns about the rest."""


class EnvironmentSettings(BaseModel):
    """What a new worktree gets besides the tracked files: the table `[environment]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    setup: str | None = Field(None, min_length=1, max_length=10_000)
    """A bash command that sets up the environment of the project, such as `npm ci`. After you have allowed it, it runs
    in the sandbox, once for each state of the lock files."""
    network: bool = False
    """Whether the set-up command may use the network."""
    timeout_s: float = Field(1800.0, gt=0, le=86_400)
    """The longest that the set-up command may take, in seconds."""
    pass_on: tuple[str, ...] = ()
    """Names of your environment variables that the set-up command gets, such as those that name a package index."""
    show: tuple[Path, ...] = ()
    """Your folders and files that the set-up command can read, such as a folder of packages."""
    keep: int = Field(3, ge=1, le=100)
    """How many environments made by a set-up command are kept."""
    ports: int = Field(10, ge=0, le=1000)
    """How many ports of its own each worktree gets; 0 for none."""
    copy_mb: int = Field(1024, ge=1)
    """How much may be copied into each worktree, in MiB; a run that would copy more is refused."""


class Settings(BaseModel):
    """All settings that a person or a project can make."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    base_url: str = DEFAULT_BASE_URL
    """OpenAI-compatible endpoint, with or without `/v1`."""
    api_key_file: Path | None = None
    """File that holds the model server's key: an absolute path, or one that begins with `~`. `AEGIS_API_KEY` overrides
    it, and `AEGIS_API_KEY_FILE` overrides both."""
    model: str | None = None
    """Model name; when unset, the only one that the server lists, or the first of several that can call a tool."""
    more_base_urls: tuple[str, ...] = ()
    """Further endpoints that serve the same models; the gateway spreads the calls over these and `base_url`, and goes
    on with the others if one fails. They get the same key."""
    workers: int = Field(8, ge=1, le=64)
    """Maximum number of workers at the same time."""
    rounds: int = Field(3, ge=0, le=20)
    """How often a worker gets a rejected piece back."""
    handovers: int = Field(1, ge=0, le=5)
    """How many other agents get a piece, one after the other, once the rounds of its worker are used up; 0 for none."""
    batch: int | None = Field(None, ge=1)
    """Maximum number of sequences that a vLLM server started by this program processes at the same time."""
    port: int | None = Field(None, ge=0, le=65535)
    """The hub's port; 0 for any free port; when unset, 9999 or, if that is taken, any free port."""
    orphan_s: float = Field(600.0, ge=1.0, le=86_400.0)
    """How long agents continue to work without their hub, in seconds; then they commit their work and exit."""
    sandbox: Literal["auto", "strict", "off"] = "auto"
    """The sandbox of agents: `auto` uses one where it works, `off` uses none. `strict` requires one, and agents that
    check each edit before they make it."""
    boundary: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """What agents of a kind may reach besides the model server, as a table: `[boundary]` with a kind and its addresses,
    such as `codex = ["api.example.org:443"]`. Closed when it is empty."""
    mcp: dict[str, McpServer] = Field(default_factory=dict)
    """MCP servers for agents: `[mcp.NAME]` with `command`, `environment` and `addresses`, or `url` and `headers`."""
    limits: Limits = Limits.model_construct()
    """How much a sandbox may use."""
    budget: BudgetSettings = BudgetSettings.model_construct()
    """How many tokens and minutes of model calls a run and each of its instances may use."""
    model_log: ModelLogSettings = ModelLogSettings.model_construct()
    """What is stored of calls of the models."""
    map: MapSettings = MapSettings.model_construct()
    """What a model may write for the code map."""
    theme: str | None = None
    """Theme of the dashboard. When unset: the one that you chose last, or else `dark`."""
    layout: str | None = None
    """Layout of the dashboard. When unset: the one that you chose last, or else `dashboard`."""
    kind: str = "native"
    """The kind of agent to start where the design names none."""
    agent_mode: Literal["headless", "terminal", "acp"] = "headless"
    """How agent programs of other vendors run: once for each prompt, with their own interface, or driven over ACP."""
    qa: QaSettings = QaSettings.model_construct()
    """How QA runs, as a table: `[qa]` with `timeout_s` and `pieces`."""
    mergiraf: bool = False
    """Whether mergiraf (0.19 or newer, on PATH) tries to merge files that are in conflict otherwise."""
    rescue: RescueSettings = RescueSettings.model_construct()
    """How long saved work is kept, as a table: `[rescue]` with `days`, `merged_days` and `budget_mb`."""
    worktrees: WorktreeSettings = WorktreeSettings.model_construct()
    """How much disk space worktrees may take, as a table: `[worktrees]` with `budget_mb`."""
    work_on_specs: bool = True
    """Whether a running hub starts a run for each spec in `.agents/specs` whose status is `approved`."""
    environment: EnvironmentSettings = EnvironmentSettings.model_construct()
    """What new worktrees get, as a table: `[environment]` with `setup`, `network`, `ports` and others."""
    keys: dict[str, str] = Field(default_factory=dict)
    """Keys of the dashboard, as a table: `[keys]` with an action and its key, such as `run.new = "N"`."""

    @field_validator("keys", mode="before")
    @classmethod
    def _flatten(cls, keys: Any) -> Any:
        """Turn the nested table that TOML reads for `run.new = "N"` into `"run.new" = "N"`; no other value changes."""
        if not isinstance(keys, dict):
            return keys
        nested = {noun: verbs for noun, verbs in keys.items() if isinstance(verbs, dict)}
        flat = {noun: key for noun, key in keys.items() if noun not in nested}
        return flat | {f"{noun}.{verb}": key for noun, verbs in nested.items() for verb, key in verbs.items()}

    @field_validator("mcp", mode="after")
    @classmethod
    def _check_names(cls, mcp: dict[str, McpServer]) -> dict[str, McpServer]:
        for name in mcp:
            check_server_name(name)
        return mcp

    @field_validator("boundary", mode="after")
    @classmethod
    def _check_addresses(cls, boundary: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for address in (address for addresses in boundary.values() for address in addresses):
            parse_address(address)
        return boundary

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
    """Read the settings from the environment and the files; a setting that is in none of them has its default.

    Args:
        environ: The environment; `AEGIS_CONFIG` in it names another user file.
        project: Root of the checkout whose `.agents/config.toml` is read; None to read only the user file. A file that
            does not exist is skipped.

    Raises:
        UsageError: A file cannot be read, or a file or variable has an unknown name or an invalid value; the message
            says where.
    """
    return trace_settings(environ, project=project)[0]


def trace_settings(environ: Mapping[str, str], *, project: Path | None = None) -> tuple[Settings, dict[str, Origin]]:
    """Read the settings from the environment and the files; also return, by name, where the value of each comes from.

    Args:
        environ: The environment; `AEGIS_CONFIG` in it names another user file.
        project: Root of the checkout whose `.agents/config.toml` is read; None to read only the user file. A file that
            does not exist is skipped.

    Raises:
        UsageError: A file cannot be read, or a file or variable has an unknown name or an invalid value; the message
            says where.
    """
    merged: dict[str, Any] = {}
    origins = dict.fromkeys(Settings.model_fields, Origin("default"))
    for path, is_project in _files(environ, project):
        source: Source = "project" if is_project else "user"
        for name, (value, line) in _read(path, is_project=is_project).items():
            before = merged.get(name) if name == "environment" else None
            if isinstance(before, dict) and isinstance(value, dict):
                value = {**before, **value}
            merged[name], origins[name] = value, Origin(source, f"{path}:{line}")
    for name, variable in ENVIRONMENT.items():
        if text := environ.get(variable):
            merged[name], origins[name] = text, Origin("environment", variable)
    if not merged:  # nothing to validate; building the validator would cost each start some 20 ms
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
    """Return the text below each field of a model in one line, by the field's name; a field without one is left out.

    The source is parsed only on this call: pydantic would do it at import, which costs every start 25 ms.

    Raises:
        OSError: The source of the model is not there to be read.
    """
    (declared,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    if not isinstance(declared, ast.ClassDef):
        return {}
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(declared.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def _files(environ: Mapping[str, str], project: Path | None) -> list[tuple[Path, bool]]:
    files = [(user_file(environ), False)]
    if project is not None:
        files.append((project_file(project), True))
    return [(path, is_project) for path, is_project in files if _is_file(path)]


def _is_file(path: Path) -> bool:
    """Return whether there is a regular file at a path; a pipe, for example, would block the start for ever.

    Raises:
        UsageError: The system does not tell, for example because a folder above may not be searched.
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UsageError(f"{path}: {error}", _REPAIR) from error


def _read(path: Path, *, is_project: bool) -> dict[str, tuple[Any, int]]:
    """Return the value and the line of each setting in a file, by its name; the values are not checked.

    Args:
        path: The file.
        is_project: Whether it is a project's file, in which some settings are not allowed.

    Raises:
        UsageError: The file cannot be read, is not TOML, or holds a setting that is unknown or not allowed in it.
    """
    try:
        text = path.read_text("utf-8")
        values = tomllib.loads(text)
    except RecursionError as error:
        raise UsageError(f"{path}: it is nested too deeply", _REPAIR) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}", _REPAIR) from error
    settings = {}
    for name, value in values.items():
        line = _line_of(text, name)
        if name not in Settings.model_fields:
            near = difflib.get_close_matches(name, Settings.model_fields, 1)
            hint = f"did you mean {near[0]}?" if near else "remove it"
            raise UsageError(f"{path}:{line}: unknown setting {name}", hint)
        parts = value if isinstance(value, dict) else ()
        named = [item for item in (name, *(f"{name}.{part}" for part in parts)) if item in NOT_FROM_PROJECT]
        if is_project and named:
            hint = f"set it in {user_file({})} or by a flag"
            raise UsageError(f"{path}:{line}: {named[0]} may not be set by a project", hint)
        settings[name] = (value, line)
    return settings


def _line_of(text: str, name: str) -> int:
    """Return the number of the first line of a TOML text that begins with a name or with its table; else 1."""
    start = re.compile(rf"\s*\[*\s*[\"']?{re.escape(name)}\b")
    return next((number for number, line in enumerate(text.splitlines(), 1) if start.match(line)), 1)
