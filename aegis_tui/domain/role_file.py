"""A role: what an instance is told to be, and the tools it may call (ROLE-13)."""

from __future__ import annotations

from pydantic import Field, field_validator

from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.tool.model import TOOLS
from aegis_tui.errors import UsageError

_FENCE = "---"


class Role(FrozenModel):
    """One role file: its front matter and its prompt."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")
    """The word used for it in `--role` and in designs."""
    description: str = Field(min_length=1)
    """What the role is for, in one sentence that a person reads in lists."""
    tools: tuple[str, ...] = Field(min_length=1)
    """The only tools it may call, whatever the model asks for."""
    model: str | None = None
    """The model it prefers; the router may choose another."""
    color: str | None = None
    """Accent of its row in the interface."""
    prompt: str = Field(min_length=1)
    """The text below the front matter: the first message of every conversation of the role."""

    @field_validator("tools")
    @classmethod
    def _tools_are_known(cls, tools: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(tools) - set(TOOLS)):
            raise ValueError(f"unknown tools {', '.join(unknown)}; known are {', '.join(sorted(TOOLS))}")
        return tools

    @property
    def writes(self) -> bool:
        """Whether it changes files, and so hands in a piece of work when it is done."""
        return bool({"edit", "write"} & set(self.tools))


def split_front_matter(text: str) -> tuple[str, str]:
    """The YAML between the two `---` lines at the start, and the text after it.

    Raises:
        UsageError: The text does not start with a closed front matter.
    """
    lines = text.splitlines()
    if not lines or lines[0].strip() != _FENCE:
        raise UsageError("a role file starts with a line of three dashes", "Put name, description and tools there")
    for number, line in enumerate(lines[1:], start=1):
        if line.strip() == _FENCE:
            return "\n".join(lines[1:number]), "\n".join(lines[number + 1 :]).strip()
    raise UsageError("the front matter of a role file is not closed", "End it with a line of three dashes")
