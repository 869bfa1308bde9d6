"""What is known about the environment of a run's worktrees: values of commands and events (GIT-1, FLOW-7)."""

from __future__ import annotations

from pydantic import Field

from aegis_tui.domain.model import FrozenModel

MOST_NAMED = 20
"""How many files a record names at most; the counts are of all."""


class EnvironmentPlan(FrozenModel):
    """What the preflight found out about the environment, before any worktree exists."""

    setup: str = ""
    """The set-up command that the person allowed; empty if none is configured."""
    network: bool = False
    """Whether the set-up command may use the network."""
    key: str = ""
    """The hash of command, permission and lock files, under which the person allowed it."""
    inputs: tuple[str, ...] = ()
    """The tracked files that the key depends on."""
    places: tuple[str, ...] = ()
    """The environments of the person's checkout that worktrees get, such as `.venv`, if no set-up makes them."""
    included: tuple[str, ...] = ()
    """What `.worktreeinclude` names, at most `MOST_NAMED` paths; whole folders end in a slash."""
    included_count: int = Field(0, ge=0)
    """How many paths it names in all."""
    missing: tuple[str, ...] = ()
    """What the project needs and nothing provides, one sentence each, with what to do about it."""


class MadeFacts(FrozenModel):
    """An environment that the set-up command created, in this run or an earlier one."""

    name: str
    command: str
    network: bool = False
    reused: bool = False
    """Whether an earlier run had made it, so that the command did not run again."""
    duration_s: float = Field(0.0, ge=0)
    """How long the command took when it ran, in this run or before, in seconds."""
    copied: tuple[str, ...] = ()
    """What it made outside of `.venv` and `node_modules`, which every worktree gets a copy of; at most `MOST_NAMED`."""
    left_out: tuple[str, ...] = ()
    """What it made and worktrees do not get, because git does not ignore it; at most `MOST_NAMED`."""
    log: str = ""
    """The absolute path of the file with the command's output; empty if `reused`."""
