"""A kind of agent: a program that can run in a pane as an instance, and how it is started (AGENT-1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything that a kind needs to start one instance's program. Every path can be read inside the sandbox."""

    instance_id: str
    role: str
    worktree: Path
    home: Path
    """A folder for this instance alone, the HOME of the program; empty at the first start."""
    hub_url: str
    """`unix:` and the path of the hub's socket."""
    gateway_url: str
    """`http+unix:` and the path of the gateway's socket: an OpenAI-compatible server that takes the token as key."""
    token_file: Path
    """Holds the instance's token for hub and gateway."""
    scope_file: Path
    """Says what the instance may write."""
    roles_dir: Path
    """The team's own role files; they take precedence over the built-in ones."""
    context_file: Path
    """The text that all instances of the run share."""
    model: str | None
    """The model of the run; None where the server lists none."""


@dataclass(frozen=True, slots=True)
class KindFacts:
    """What is known about a kind from its TOML file and from PATH, without running any of its code."""

    name: str
    title: str
    """A short description for lists."""
    fault: str = ""
    """Why the kind cannot be started here: a wrong file, a missing program; empty when it can, as far as is known."""
    remedy: str = ""
    """What to do about the fault."""
    program: str = ""
    """The path of its program; empty where it has none of its own."""
    abilities: str = ""
    """What its instances can do, in a few words for a person."""
    checks_edits: bool = False
    """Whether its instances check each edit before they make it, so that one outside the partition is refused then."""
    takes_mcp: bool = False
    """Whether its instances can use the tools of MCP servers."""
    is_limited: bool = False
    """Whether its instances can give no verdict and propose no design."""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Version of its program -> the names that it is known to look up, which the sandbox refuses."""
    missing: tuple[str, ...] = ()
    """The programs that it needs and that are not on PATH."""


class AgentKind(Protocol):
    """How one kind of agent is started. It has no state: one object serves every instance of its kind."""

    def argv(self, launch: Launch) -> list[str]:
        """Return the program and its arguments, the program first; the caller wraps them in the sandbox.

        Starts nothing. They must hold no secret: every process of the machine can read them.
        """
        ...

    def environment(self, launch: Launch) -> dict[str, str]:
        """Return environment variables, name -> value, to add to those that every instance gets; may be empty.

        They replace variables of the same name, and must hold no secret.
        """
        ...


FindKind = Callable[[str], AgentKind]
"""Finds a kind by its name. Raises `UsageError` when no kind has it, a program is missing, or its class fails."""
