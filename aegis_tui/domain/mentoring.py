"""What a mentor makes of a run that has ended: better role prompts, for a person to accept (ROLE-11)."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import Field

from aegis_tui.domain.inert import inert
from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.role_file import TEAM_ROLES
from aegis_tui.domain.tool.model import Tool, ToolArguments

_MOST_CHARS: Final = 30_000
_Words = Annotated[str, Field(min_length=1, max_length=20_000)]


class RoleChange(FrozenModel):
    """One role whose prompt would be better in other words."""

    role: _Words = Field(description="The name of the role.")
    reason: _Words = Field(description="Which cases of this run it would have prevented.")
    old: _Words = Field(description="Exact text of the role's prompt, that is there once.")
    new: _Words = Field(description="The text in its place.")


class Retrospective(ToolArguments):
    """Arguments of `propose_roles`, which ends the mentor's work."""

    summary: _Words = Field(description="What went well and what did not, in a few sentences.")
    changes: tuple[RoleChange, ...] = Field((), max_length=20, description="Empty if no prompt would have helped.")


PROPOSE_ROLES: Final = Tool(
    "propose_roles", "Hand in the retrospective and the changes of role prompts.", Retrospective
)


def mentor_brief(report: Mapping[str, Any], failures: Sequence[str], roles: Mapping[str, str]) -> str:
    """Return the task of a mentor in words.

    Args:
        report: The report of the run; what is longer than 30,000 characters is cut.
        failures: What failed in the run, and what resolved it.
        roles: Role -> the text of its file.
    """
    shown = json.dumps(report, indent=1, ensure_ascii=False)[:_MOST_CHARS]
    files = "\n\n".join(f"## {name}\n\n{text}" for name, text in roles.items())
    listed = "\n".join(f"- {text}" for text in failures) or "(nothing)"
    return (
        "Look at this run, and propose changes of role prompts that would have prevented what went wrong. Hand them in "
        f"with propose_roles.\n\n# What failed\n\n{listed}\n\n# The report\n\n{shown}\n\n# The roles\n\n{files}"
    )


def problems_of(proposal: Retrospective, roles: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the changes, each with its place; empty if all can be made one after the other."""
    texts, problems = dict(roles), []
    for number, change in enumerate(proposal.changes):
        text = texts.get(change.role)
        if text is None:
            problems.append(f"changes.{number}.role: there is no role {change.role}; one of {', '.join(roles)}")
        elif text.count(change.old) != 1:
            problems.append(f"changes.{number}.old: it is {text.count(change.old)} times in the file, not once")
        elif change.old not in text.partition("\n---\n")[2]:
            problems.append(f"changes.{number}.old: only the prompt may change, not the fields at the top of the file")
        elif inert(change.new, keep="\n\t") != change.new:
            problems.append(f"changes.{number}.new: it contains an invisible character")
        else:
            texts[change.role] = text.replace(change.old, change.new)
    return problems


def role_diff(proposal: Retrospective, roles: Mapping[str, str], own: Sequence[str]) -> str:
    """Return the changes as a diff that `git apply` accepts; before each file stands why. Empty if there are none.

    Args:
        proposal: Changes without a problem.
        roles: Role -> the text of its file.
        own: The roles whose file the team has; the diff creates the files of the others.
    """
    texts, reasons = dict(roles), dict[str, list[str]]()
    for change in proposal.changes:
        texts[change.role] = texts[change.role].replace(change.old, change.new)
        reasons.setdefault(change.role, []).append(inert(" ".join(change.reason.split())))
    parts = []
    for name, why in reasons.items():
        path = f"{TEAM_ROLES}/{name}.md"
        before = _lines(roles[name]) if name in own else []
        start, end = (f"a/{path}", f"b/{path}") if name in own else ("/dev/null", f"b/{path}")
        lines = difflib.unified_diff(before, _lines(texts[name]), start, end)
        parts.append("".join([*(f"# {text}\n" for text in why), *lines]))
    return "\n".join(parts)


def _lines(text: str) -> list[str]:
    return [f"{line}\n" for line in text.splitlines()]
