"""Compares JSON with the types of `aegis_tui/domain/wire`, to the innermost field."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from aegis_tui.domain.model import compact_json
from aegis_tui.hub.schema_dicts import model_of
from aegis_tui.hub.schema_names import NAMES

_MADE: dict[type[Any], type[BaseModel]] = {}


def closed(kind: type[Any]) -> type[BaseModel]:
    """A model that takes exactly the JSON of a type: a field more, or one of another type, is refused."""
    if kind not in _MADE:
        named = {name: model for model, name in NAMES.items()}
        _MADE[kind] = model_of(kind, closed, named=named, config=ConfigDict(extra="forbid", strict=True))
    return _MADE[kind]


def fits(value: object, kind: type[Any]) -> None:
    """Raise `ValidationError` if a value of JSON does not have exactly the fields of a type."""
    closed(kind).model_validate_json(compact_json(value))
