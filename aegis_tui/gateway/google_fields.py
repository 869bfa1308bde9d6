"""Reads the JSON of Google's API: both spellings of a field name, and only values of the expected form.

Source: the ProtoJSON mapping, which accepts `systemInstruction` and `system_instruction` alike.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from aegis_tui.gateway.rejected import Rejected

Fields = dict[str, Any]

_CAPITAL = re.compile("[A-Z]")


@lru_cache(maxsize=256)
def _snake(name: str) -> str:
    return _CAPITAL.sub(lambda match: f"_{match[0].lower()}", name)


def field_of(fields: Fields, name: str) -> Any:
    """Return the value of a field by its camel-case name; if that is absent or null, by the same name in snake case.

    None if neither is there.
    """
    value = fields.get(name)
    return fields.get(_snake(name)) if value is None else value


def object_of(fields: Fields, name: str) -> Fields:
    """Return a field (see `field_of`) that holds an object; an empty one if it is absent or null.

    Raises:
        Rejected: It is something else (400).
    """
    value = field_of(fields, name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(name, "an object")
    return value


def objects_of(fields: Fields, name: str) -> list[Fields]:
    """Return a field (see `field_of`) that holds a list of objects; a single object counts as a list of one.

    Empty if it is absent or null.

    Raises:
        Rejected: It is something else, or one of the items is no object (400).
    """
    value = field_of(fields, name)
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, dict) for item in items):
        raise _wrong(name, "a list of objects")
    return items


def text_of(fields: Fields, name: str) -> str:
    """Return a field (see `field_of`) that holds a text; an empty one if it is absent or null.

    Raises:
        Rejected: It is something else (400).
    """
    value = field_of(fields, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(name, "a text")
    return value


def _wrong(name: str, wanted: str) -> Rejected:
    return Rejected(400, "body.fields", f"{name} is not {wanted}")
