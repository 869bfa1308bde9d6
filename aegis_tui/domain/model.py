"""The base classes every message and value of the core is made of.

Messages cross processes, so they are frozen, strict about unknown fields, and validated once, at the border.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticSerializationError, to_json

from aegis_tui.domain.path.file_name import encodable

Key = tuple[str, str]
"""What changed: a kind (`lock`, `instance`, `run`, ...) and the name of the thing. Screens subscribe to kinds."""

SCHEMA_VERSION = 1
"""The version of commands, events and JSON output (contract 3, 5, 6)."""

MAX_INT = 2**63 - 1
"""The largest integer in a message: what SQLite and every common JSON reader hold exactly or refuse."""

Count = Annotated[int, Field(strict=True, ge=0, le=MAX_INT)]
"""A whole number that a client sends: a seq, a token, a revision. Neither text nor a truth value stands for one."""

Seconds = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A duration that a client sends."""

Progress = Annotated[float, Field(ge=0.0, le=1.0)]


class FrozenModel(BaseModel):
    """A value: never changed after it is made; unknown fields are refused.

    Its validator is made when it is first used: a process that starts uses few of the many.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class StateModel(BaseModel):
    """A part of the state: changed in place by its table alone. Its validator too is made when it is first used."""

    model_config = ConfigDict(defer_build=True)


class EventData(FrozenModel):
    """The `data` of one event type. A subclass sets `type` to a `Literal` with its contract name."""

    type: str


class CommandData(FrozenModel):
    """The fields of one command type. A subclass sets `type` to a `Literal` with its contract name."""

    type: str


def compact_json(value: Any) -> str:
    """JSON without spaces, for the log and the wire; text that UTF-8 cannot carry is quoted, by `encodable`."""
    try:
        return to_json(value).decode()
    except PydanticSerializationError:
        return to_json(encodable(value)).decode()


def is_encodable(value: Any) -> bool:
    """Whether every text in it can be written as UTF-8."""
    try:
        to_json(value)
    except PydanticSerializationError:
        return False
    return True


def by_type(union: object) -> dict[str, Any]:
    """The members of a union of messages, by their contract names."""
    return {member.model_fields["type"].default: member for member in get_args(union)}
