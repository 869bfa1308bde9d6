"""What `aegis-tui roles` prints with `--json` (ROLE-13)."""

from __future__ import annotations

from typing import Literal, TypedDict


class RoleRow(TypedDict):
    """One role, as its file describes it."""

    name: str
    description: str
    origin: Literal["team", "program"]
    path: str
    """The file: relative to the checkout if it is the team's."""
    tools: list[str]
    """The only tools that the built-in agent may call in this role."""
    model: str | None
    color: str | None
    max_turns: int | None
    max_minutes: float | None
    writes: bool
    """Whether it has a tool that changes files."""
    mcp_tools: list[str]
    """The tools of the hub that every kind of agent may call over MCP in this role."""


class LensRow(TypedDict):
    """What one reviewer looks for."""

    name: str
    blocking: bool


class RolesOutput(TypedDict):
    """`roles list` and `roles check`."""

    roles: list[RoleRow]
    lenses: list[LensRow]


class RoleOutput(TypedDict):
    """`roles show`."""

    role: RoleRow
    prompt: str
    """The first message of each conversation of the role."""


class RoleChangeRow(TypedDict):
    """One change of a role prompt that the mentor proposes."""

    role: str
    reason: str
    """Which cases of the run it would have prevented."""


class MentorOutput(TypedDict):
    """`mentor`."""

    run: str
    summary: str
    changes: list[RoleChangeRow]
    path: str | None
    """The diff, relative to the top folder of the checkout; null if no change is proposed."""
