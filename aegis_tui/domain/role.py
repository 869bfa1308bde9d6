"""All that a role is: its letter, what it may change and judge, how it begins, its tools over MCP (ROLE-1 to ROLE-13).

Who may send which command is in `rights.py`, by these traits. Prompts and tools of the built-in agent are in role
files (`role_file.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

COMMON_TOOLS: Final = ("get_context", "send_message", "read_messages", "broadcast")
"""MCP tools of every role."""

_WORKER_TOOLS = (
    "get_scope",
    "request_scope",
    "acquire_lock",
    "renew_lock",
    "release_lock",
    "claim_task",
    "update_task",
    "report_done",
    *COMMON_TOOLS,
)
_COMMANDER_TOOLS = ("propose_design", "dispatch_workers", "check_conflicts", "integrate", "run_qa", *COMMON_TOOLS)


@dataclass(frozen=True, slots=True)
class RoleTraits:
    """What holds for every instance of one role."""

    prefix: str
    """The letter that its instance ids start with."""
    is_builder: bool = False
    """It does a piece of work of its own."""
    is_writer: bool = False
    """It changes files; the others only read (ROLE-3 to ROLE-5, -9, -11)."""
    is_judge: bool = False
    """It may approve or reject plans and give verdicts on reviews."""
    has_writable_worktree: bool = True
    """Otherwise its worktree is mounted read-only."""
    start_state: str = "exploring"
    """What its agent does first at a task, a word of `AgentStateName`."""
    mcp_tools: tuple[str, ...] = ("report_done", *COMMON_TOOLS)
    """The tools that it may list and call over MCP."""
    rank: int = 2
    """Its place where instances are listed, 0 first."""


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
    }
)
"""By name, as `--role` and designs have it."""

_UNKNOWN = RoleTraits("")


def traits_of(role: str) -> RoleTraits:
    """The traits of a role; of one that only a log or a team's own file knows, those that every role has."""
    return ROLES.get(role, _UNKNOWN)
