"""Role files: the prompt of a role and the tools that the built-in agent may call in it (ROLE-13)."""

from __future__ import annotations

from typing import Final

from pydantic import Field, field_validator

from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.tool.model import TOOLS
from aegis_tui.errors import UsageError

TEAM_ROLES: Final = ".agents/agents"
"""The folder of a team's own role files, relative to the root of the checkout (contract 1)."""

_FENCE = "---"


class Role(FrozenModel):
    """One role file: its front matter and its prompt."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")
    """Its name in `--role` and in designs."""
    description: str = Field(min_length=1)
    """The purpose of the role in one sentence, shown in lists."""
    tools: tuple[str, ...] = Field(min_length=1)
    """The only tools that it may call, whatever the model asks for."""
    model: str | None = None
    """The model that the built-in agent asks for in this role, whatever the run chose; the run's when unset."""
    color: str | None = None
    """Accent colour of its row in the interface."""
    max_turns: int | None = Field(None, ge=1, le=10_000)
    """The most replies of the model in one task; the usual limit when unset."""
    max_minutes: float | None = Field(None, gt=0)
    """The longest that one task may take, in minutes; then the agent asks the model no more. No limit when unset."""
    prompt: str = Field(min_length=1)
    """The text below the front matter: the first message of every conversation of the role."""

    @field_validator("tools")
    @classmethod
    def _tools_are_known(cls, tools: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(tools) - set(TOOLS)):
            raise ValueError(f"unknown tools: {', '.join(unknown)}; known: {', '.join(sorted(TOOLS))}")
        return tools

    @property
    def writes(self) -> bool:
        """Whether the role has a tool that changes files; an instance of such a role submits its work when done."""
        return bool({"edit", "write"} & set(self.tools))


def split_front_matter(text: str) -> tuple[str, str]:
    """Return the YAML between the two `---` lines at the start of a role file, and the text after them, stripped.

    The YAML is not parsed.

    Raises:
        UsageError: The first line is not `---`, or no other line is.
    """
    lines = text.splitlines()
    if not lines or lines[0].strip() != _FENCE:
        raise UsageError(
            "the first line must be three dashes (---)", "Put the fields, such as name and description, after it"
        )
    for number, line in enumerate(lines[1:], start=1):
        if line.strip() == _FENCE:
            return "\n".join(lines[1:number]), "\n".join(lines[number + 1 :]).strip()
    raise UsageError("the front matter is not closed", "End it with a line of three dashes")
