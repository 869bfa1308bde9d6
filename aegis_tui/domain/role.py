"""The traits of each role: letter, what it may change and judge, first state, MCP tools (ROLE-1 to ROLE-13).

`rights.py` derives from these traits who may send which command. Prompts and tools of the built-in agent are in role
files (`role_file.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_MAP_TOOLS = ("map_find", "map_show", "map_search", "map_callers", "map_callees", "map_tests", "map_impact")
COMMON_TOOLS: Final = ("get_context", "send_message", "read_messages", "broadcast", *_MAP_TOOLS)
"""MCP tools of every role."""

_WORKER_TOOLS = (
    "get_scope",
    "request_scope",
    "acquire_lock",
    "renew_lock",
    "release_lock",
    "claim_task",
    "update_task",
    "request_review",
    "report_done",
    *COMMON_TOOLS,
)
_COMMANDER_TOOLS = (
    "propose_design",
    "dispatch_workers",
    "check_conflicts",
    "integrate",
    "run_qa",
    "map_partition",
    *COMMON_TOOLS,
)


@dataclass(frozen=True, slots=True)
class RoleTraits:
    """The properties that all instances of one role have."""

    prefix: str
    """The letter that its instance ids start with."""
    is_builder: bool = False
    """It builds a piece."""
    is_writer: bool = False
    """It changes files; roles without this only read (ROLE-3 to ROLE-5, -9, -11)."""
    is_judge: bool = False
    """It may approve or reject plans and give verdicts in reviews."""
    has_writable_worktree: bool = True
    """Whether its worktree is writable; if not, it is mounted read-only."""
    start_state: str = "exploring"
    """The first state of its agent in a task, one of `AgentStateName`."""
    mcp_tools: tuple[str, ...] = ("report_done", *COMMON_TOOLS)
    """The tools that it may list and call over MCP."""
    rank: int = 2
    """Its position in lists of instances, 0 first."""


ROLES: Final[Mapping[str, RoleTraits]] = MappingProxyType(
    {
        "commander": RoleTraits(
            "c",
            is_builder=True,
            is_writer=True,
            is_judge=True,
            start_state="planning",
            mcp_tools=_COMMANDER_TOOLS,
            rank=0,
        ),
        "worker": RoleTraits("w", is_builder=True, is_writer=True, mcp_tools=_WORKER_TOOLS, rank=1),
        "scout": RoleTraits("s", has_writable_worktree=False),
        "librarian": RoleTraits("l", has_writable_worktree=False),
        "reviewer": RoleTraits(
            "r",
            is_judge=True,
            has_writable_worktree=False,
            start_state="reviewing",
            mcp_tools=("post_findings", "approve", "reject", *COMMON_TOOLS),
        ),
        "consultant": RoleTraits("k", mcp_tools=("create_spec", *COMMON_TOOLS)),
        "git-manager": RoleTraits("g", is_writer=True),
        "junior-developer": RoleTraits("j", is_builder=True, is_writer=True, mcp_tools=_WORKER_TOOLS),
        "mentor": RoleTraits("m"),
        "spec-manager": RoleTraits("d", mcp_tools=("create_spec", *COMMON_TOOLS)),
        "project-lead": RoleTraits("p"),
    }
)
"""All roles by name, as used in `--role` and in designs."""

_UNKNOWN = RoleTraits("")


def traits_of(role: str) -> RoleTraits:
    """Return the traits of a role; for an unknown one, from a log or a team's own role file, the default traits.

    An unknown role so has no letter, builds, writes and judges nothing.
    """
    return ROLES.get(role, _UNKNOWN)
