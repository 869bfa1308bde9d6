"""The base classes of all messages and values of the core.

Messages go from process to process, so they are frozen, refuse unknown fields, and are validated once, on arrival.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Final, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from aegis_tui.domain.path.file_name import encodable

T = TypeVar("T")

Key = tuple[str, str]
"""Names something that changed: its kind (`lock`, `instance`, `run`, ...) and its name. Screens subscribe to kinds."""

SCHEMA_VERSION: Final = 1
"""The version of commands, events and JSON output (contract 3, 5, 6)."""

MAX_INT = 2**63 - 1
"""The largest integer in a message: SQLite and common JSON readers keep it exactly or refuse it."""

Count = Annotated[int, Field(strict=True, ge=0, le=MAX_INT)]
"""A whole number that a client sends: a seq, a token, a revision. Texts and booleans are refused."""

Seconds = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A duration in seconds that a client sends."""

Progress = Annotated[float, Field(ge=0.0, le=1.0)]


class FrozenModel(BaseModel):
    """An immutable value that refuses unknown fields.

    Its validator is built at first use, because a process that starts needs only a few of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class StateModel(BaseModel):
    """A part of the state, which only its table changes, in place. Its validator, too, is built at first use."""

    model_config = ConfigDict(defer_build=True)


class EventData(FrozenModel):
    """The `data` of one event type. A subclass sets `type` to a `Literal` with its contract name."""

    type: str


class CommandData(FrozenModel):
    """The fields of one command type. A subclass sets `type` to a `Literal` with its contract name."""

    type: str


def json_of(model: BaseModel, kind: type[T], *, without: AbstractSet[str] = frozenset()) -> T:
    """Return a model as the plain JSON values that `kind` describes, a type of `domain/wire`.

    Args:
        model: The model.
        kind: Not checked: `tests/hub/test_schema_dicts.py` compares its fields with those of the model.
        without: Fields to leave out.
    """
    return cast(T, model.model_dump(mode="json", exclude=set(without)))


def compact_json(value: Any) -> str:
    """Return a value as JSON without spaces, for log and wire.

    If UTF-8 cannot encode a text in it (a lone surrogate, as in a file name that is not UTF-8), each such text is in
    git's quoted form.

    Raises:
        PydanticSerializationError: It holds an object that pydantic cannot write as JSON.
    """
    try:
        return to_json(value).decode()
    except PydanticSerializationError:
        return to_json(encodable(value)).decode()


def is_encodable(value: Any) -> bool:
    """Return whether a value can be written as JSON in UTF-8.

    It cannot if a text in it has a lone surrogate, or it holds an object that pydantic cannot write.
    """
    try:
        to_json(value)
    except PydanticSerializationError:
        return False
    return True


def first_problem(error: ValidationError) -> str:
    """Return the first problem of a validation in one line: the field, if it is about one, and what is wrong."""
    problem = error.errors(include_url=False, include_input=False)[0]
    words = problem["msg"].removeprefix("Value error, ").partition("\n")[0]
    where = ".".join(map(str, problem["loc"]))
    return f"{where}: {words}" if where else words


def by_type(union: object) -> dict[str, Any]:
    """Return the classes in a union of commands or events: name of the type, such as `lock:renew` -> class."""
    return {member.model_fields["type"].default: member for member in get_args(union)}
