"""What the agent is told by its environment (contract 10). The token itself stays in its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, ValidationError

from aegis_tui.domain.model import FrozenModel
from aegis_tui.errors import UsageError

TOOL_PREFIX = "AEGIS_TOOL_"
"""`AEGIS_TOOL_PYTHONPATH` is the PYTHONPATH of commands; the agent itself must not import from the worktree."""

DEFAULT_MAX_TURNS = 60
"""Replies of the model that one task may take."""

DEFAULT_ORPHAN_S = 600.0
"""How long an agent works on without a hub where AEGIS_ORPHAN_S does not say."""


class Scope(FrozenModel):
    """What the instance may write, as the hub wrote it into AEGIS_SCOPE_FILE. Empty: nothing."""

    partition: tuple[str, ...] = ()
    """Globs that this instance alone may write."""
    shared: tuple[str, ...] = ()
    """Globs that nobody's worker may write."""
    joint: tuple[str, ...] = ()
    """Globs that any worker may write under an EXCLUSIVE lock."""
    owners: dict[str, str] = Field(default_factory=dict)
    """Glob to the agent id that owns it."""
    submodules: tuple[str, ...] = ()
    """Paths of submodules, whose folders are empty here."""
    ignore_case: bool = False
    """Compare paths case-folded, as the hub does where `core.ignorecase` is set."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The instance's identity and the places it works with."""

    instance_id: str
    agent_id: str
    role: str
    hub: str
    """`unix:/path` or `http://host:port`."""
    token_file: Path
    base_url: str
    model: str | None
    """None: the first model that the server lists."""
    scope: Scope
    shared_context: str
    """Text that every instance of the run shares; empty when there is none."""
    max_turns: int
    orphan_s: float
    """How long to work on after the hub is gone, in seconds."""
    worktree: Path
    tool_environment: Mapping[str, str] = field(default_factory=dict)
    """Variables for the commands that the agent runs, not for the agent: the project's environment (FLOW-7)."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, worktree: Path) -> AgentSettings:
        """Read the variables and the files they name.

        Raises:
            UsageError: A needed variable is missing, or a file cannot be read or does not fit.
        """
        instance_id = _need(environment, "AEGIS_INSTANCE")
        return cls(
            instance_id=instance_id,
            agent_id=environment.get("AEGIS_AGENT_ID") or f"NATIVE-{instance_id}",
            role=environment.get("AEGIS_ROLE") or "worker",
            hub=_need(environment, "AEGIS_HUB"),
            token_file=Path(_need(environment, "AEGIS_TOKEN_FILE")),
            base_url=_need(environment, "OPENAI_BASE_URL"),
            model=environment.get("AEGIS_MODEL") or None,
            scope=_load_scope(environment.get("AEGIS_SCOPE_FILE")),
            shared_context=_load_context(environment.get("AEGIS_BRIEF_CONTEXT")),
            max_turns=_max_turns(environment.get("AEGIS_MAX_TURNS")),
            orphan_s=_seconds(environment.get("AEGIS_ORPHAN_S"), DEFAULT_ORPHAN_S),
            worktree=worktree.resolve(),
            tool_environment={
                name.removeprefix(TOOL_PREFIX): value
                for name, value in environment.items()
                if name.startswith(TOOL_PREFIX)
            },
        )

    def read_token(self) -> str:
        """The instance's token.

        Raises:
            UsageError: The file is missing or empty.
        """
        token = _read(self.token_file, "AEGIS_TOKEN_FILE").strip()
        if not token:
            raise UsageError(f"{self.token_file} is empty", "Start the instance again from the hub")
        return token


def _need(environment: Mapping[str, str], name: str) -> str:
    if value := environment.get(name):
        return value
    raise UsageError(f"{name} is not set", "The built-in agent is started by the hub: aegis-tui run")


def _read(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} names {path}, which cannot be read: {error}") from error


def _load_scope(place: str | None) -> Scope:
    if not place:
        return Scope()
    try:
        return Scope.model_validate(json.loads(_read(Path(place), "AEGIS_SCOPE_FILE")))
    except (ValueError, ValidationError) as error:
        raise UsageError(f"the scope file {place} does not fit: {error}") from error


def _load_context(place: str | None) -> str:
    path = Path(place) if place else None
    return _read(path, "AEGIS_BRIEF_CONTEXT") if path and path.is_file() else ""


def _max_turns(text: str | None) -> int:
    if not text:
        return DEFAULT_MAX_TURNS
    if not text.isdigit() or int(text) < 1:
        raise UsageError(f"AEGIS_MAX_TURNS is {text!r}, which is not a number over 0")
    return int(text)


def _seconds(text: str | None, default: float) -> float:
    try:
        return max(1.0, float(text)) if text else default
    except ValueError as error:
        raise UsageError(f"AEGIS_ORPHAN_S is {text!r}, which is not a number of seconds") from error
