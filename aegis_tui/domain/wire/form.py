"""What the documents of the hub say of a field beside its type and the line under it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

NO_DEFAULT: Any = object()


@dataclass(frozen=True, slots=True)
class SchemaNote:
    """An annotation of a field, for its JSON Schema."""

    named: str = ""
    """The name of the schema that the value has, for example that of an enumeration."""
    default: Any = NO_DEFAULT
    """What a client may assume when the field is absent."""
    form: str = ""
    """Its `format`, for example `date-time`."""


Timestamp = Annotated[str, SchemaNote(form="date-time")]
"""RFC 3339, UTC."""
