"""What `aegis-tui environment` prints with `--json`, as in `output` (GIT-1)."""

from __future__ import annotations

from typing import TypedDict


class EnvironmentPlanFields(TypedDict):
    """What a run's worktrees get besides the tracked files, as determined before it started."""

    setup: str
    network: bool
    key: str
    inputs: list[str]
    places: list[str]
    included: list[str]
    included_count: int
    missing: list[str]


class PreparedFields(TypedDict):
    """The environment that the set-up command created, in this run or an earlier one."""

    name: str
    command: str
    network: bool
    reused: bool
    duration_s: float
    copied: list[str]
    left_out: list[str]
    log: str


class WorktreeEnvironment(TypedDict):
    """What the worktree of an instance has besides the tracked files."""

    prepared: str
    """The name of the environment that the set-up command made; empty if there is none."""
    places: list[str]
    """Folders of the environment, such as `.venv`."""
    copied: int
    """How many files were copied into it."""
    left_out: dict[str, str]
    """Path -> why it was not copied."""
    ports: list[int]
    """The first and the last of its ports; empty if it has none."""


class MadeFields(TypedDict):
    """An environment that a set-up command made."""

    name: str
    command: str
    network: bool
    duration_s: float
    copied: list[str]
    """What each worktree gets a copy of."""
    left_out: list[str]
    """What the command created that worktrees do not get, because git does not ignore it."""


class EnvironmentOutput(TypedDict):
    """`environment show`."""

    setup: str
    """The set-up command; empty if there is none."""
    network: bool
    key: str
    """The hash under which it is allowed."""
    inputs: list[str]
    """The files that the hash depends on."""
    allowed: bool
    places: list[str]
    """The environments of the checkout that worktrees get."""
    included: list[str]
    """What `.worktreeinclude` names."""
    missing: list[str]
    """What the project needs and the checkout does not provide."""
    suggested: str
    """A set-up command that may provide it; empty if none is known."""
    made: list[MadeFields]


class SetupAllowedOutput(TypedDict):
    """`environment allow`."""

    key: str
    setup: str
    network: bool


class ForgottenOutput(TypedDict):
    """`environment forget`."""

    forgotten: int


class SetupLogOutput(TypedDict):
    """`environment log`."""

    name: str
    log: str
    output: str
