"""The base classes every message and value of the core is made of.

Messages cross processes, so they are frozen, strict about unknown fields, and validated once, at the border.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Key = tuple[str, str]
"""What changed: a kind (`lock`, `instance`, `run`, ...) and the name of the thing. Screens subscribe to kinds."""

SCHEMA_VERSION = 1
"""The version of commands, events and JSON output (contract 3, 5, 6)."""

Progress = Annotated[float, Field(ge=0.0, le=1.0)]


class FrozenModel(BaseModel):
    """A value: never changed after it is made; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EventData(FrozenModel):
    """The `data` of one event type. A subclass sets `type` to a `Literal` with its contract name."""

    type: str


class CommandData(FrozenModel):
    """The fields of one command type. A subclass sets `type` to a `Literal` with its contract name."""

    type: str
