"""A kind of agent: a program that can take the place of an instance in a pane (AGENT-1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Launch:
    """What is known of one instance when its program is about to be started. Every path can be read in its sandbox."""

    instance_id: str
    role: str
    worktree: Path
    home: Path
    """A folder of its own, HOME of the program; empty at the first start."""
    hub_url: str
    """`unix:` and the path of the hub's socket."""
    gateway_url: str
    """`http+unix:` and the path of the gateway's socket: an OpenAI-compatible server, by the instance's token."""
    token_file: Path
    """Holds the token for hub and gateway."""
    scope_file: Path
    roles_dir: Path
    """The team's own role files, which go before those that ship."""
    context_file: Path
    """The text that all instances of the run share."""
    model: str | None
    """The model of the run; None where the server lists none."""


@dataclass(frozen=True, slots=True)
class KindFacts:
    """What is known of a kind without running any of its code: its TOML file."""

    name: str
    title: str
    """What it is, in a few words, for lists."""
    programs: tuple[str, ...] = ()
    """What has to be on PATH before it can be started."""
    install: str = ""
    """The command that installs them."""
    fault: str = ""
    """Why the file cannot be used; empty for one that can."""


class AgentKind(Protocol):
    """How one kind of agent is started. Without state: one object serves every instance of its kind."""

    def argv(self, launch: Launch) -> list[str]:
        """The program and its arguments; the sandbox is put around it. Never a secret: others can read it."""
        ...

    def environment(self, launch: Launch) -> dict[str, str]:
        """Variables beside those that every instance has. Never a secret."""
        ...


FindKind = Callable[[str], AgentKind]
"""Name -> the kind; raises `UsageError` when there is none of that name, it lacks a program, or its class fails."""
