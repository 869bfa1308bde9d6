"""The agent's settings, read from its environment (contract 10). The token itself stays in its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import Field, ValidationError

from aegis_tui.domain.model import FrozenModel
from aegis_tui.errors import UsageError
from aegis_tui.sdk.egress import EgressRelay
from aegis_tui.sdk.orphan import orphan_s

TOOL_PREFIX = "AEGIS_TOOL_"
"""Prefix of variables for the commands that the agent runs: AEGIS_TOOL_PYTHONPATH becomes their PYTHONPATH.

The agent itself must not get them: it must not import from the worktree.
"""

DEFAULT_MAX_TURNS = 60
"""The most replies of the model in one task, if AEGIS_MAX_TURNS is not set."""


class InstanceScope(FrozenModel):
    """What the instance may write, as the hub wrote it to AEGIS_SCOPE_FILE. If empty, it may write nothing."""

    partition: tuple[str, ...] = ()
    """Globs that this instance alone may write."""
    shared: tuple[str, ...] = ()
    """Globs that no worker may write."""
    joint: tuple[str, ...] = ()
    """Globs that any worker may write under an EXCLUSIVE lock."""
    owners: dict[str, str] = Field(default_factory=dict)
    """Glob -> the id of the agent whose partition it belongs to."""
    moved: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Other piece -> its globs, if they are no longer those of the design."""
    submodules: tuple[str, ...] = ()
    """Paths of submodules, whose files no commit here can hold."""
    ignore_case: bool = False
    """Whether paths are compared case-folded, as the hub does if `core.ignorecase` is set."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The instance's identity, addresses, files and limits."""

    instance_id: str
    agent_id: str
    role: str
    hub: str
    """`unix:/path` or `http://host:port`."""
    token_file: Path
    base_url: str
    model: str | None
    """None: the first model that the server lists."""
    scope: InstanceScope
    shared_context: str
    """Text that every instance of the run gets; empty if there is none."""
    max_turns: int
    orphan_s: float
    """How long to go on without an answer of the hub, in seconds."""
    worktree: Path
    tool_environment: Mapping[str, str] = field(default_factory=dict)
    """Variables for the commands that the agent runs, not for the agent: the project's environment (FLOW-7)."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, worktree: Path) -> AgentSettings:
        """Read the settings from variables and from the files that they name; the token file is not read.

        Without AEGIS_SCOPE_FILE the instance may write nothing; the file of AEGIS_BRIEF_CONTEXT may be missing.

        Args:
            environment: The process's environment.
            worktree: The instance's worktree.

        Raises:
            UsageError: A required variable is missing or not valid, or a file cannot be read or is not valid.
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
            orphan_s=orphan_s(environment),
            worktree=worktree.resolve(),
            tool_environment={
                name.removeprefix(TOOL_PREFIX): value
                for name, value in environment.items()
                if name.startswith(TOOL_PREFIX)
            },
        )

    def with_egress(self, egress: EgressRelay | None) -> AgentSettings:
        """Return the settings with the variables by which commands find the way out of the sandbox, if there is one.

        Args:
            egress: The open way out to listed addresses; None where the boundary is closed: nothing is added then.
        """
        more = {} if egress is None else egress.environment
        return replace(self, tool_environment={**self.tool_environment, **more})

    def read_token(self) -> str:
        """Return the instance's token from its file.

        Raises:
            UsageError: The file cannot be read or is empty.
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


def _load_scope(place: str | None) -> InstanceScope:
    if not place:
        return InstanceScope()
    try:
        return InstanceScope.model_validate(json.loads(_read(Path(place), "AEGIS_SCOPE_FILE")))
    except (ValueError, ValidationError) as error:
        raise UsageError(f"the scope file {place} is not valid: {error}") from error


def _load_context(place: str | None) -> str:
    path = Path(place) if place else None
    return _read(path, "AEGIS_BRIEF_CONTEXT") if path and path.is_file() else ""


def _max_turns(text: str | None) -> int:
    if not text:
        return DEFAULT_MAX_TURNS
    if not text.isdigit() or int(text) < 1:
        raise UsageError(f"AEGIS_MAX_TURNS is {text!r}, which is not a number over 0")
    return int(text)
