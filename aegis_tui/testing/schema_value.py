"""Plausible values for a JSON Schema, for arguments that a tool requires and a scenario does not name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
_TEXT = "scripted"


def plausible_value(schema: Schema, *, root: Schema) -> Any:
    """Return a value of the schema's type: its default or first choice if it has one, else a small value.

    Patterns, formats and lengths of texts are not regarded.

    Args:
        schema: The schema of the value; type names in upper case, as in Google's API, mean the same.
        root: The schema that references such as ``#/$defs/Name`` point into.

    Raises:
        KeyError: A reference points nowhere.
        RecursionError: A schema requires itself.
    """
    if "$ref" in schema:
        return plausible_value(_referred(str(schema["$ref"]), root), root=root)
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        if schema.get(key):
            return schema[key][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return plausible_value(schema[key][0], root=root)
    return _value_of_type(_type_of(schema), schema, root)


def plausible_arguments(schema: Schema, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given arguments of a tool, and plausible values for the others that its schema requires.

    Raises:
        KeyError: A reference in the schema points nowhere.
        RecursionError: A schema requires itself.
    """
    properties = schema.get("properties") or {}
    missing = [name for name in schema.get("required") or () if name not in given]
    return {**given, **{name: plausible_value(properties.get(name) or {}, root=schema) for name in missing}}


def _type_of(schema: Schema) -> str:
    named = schema.get("type", "object" if "properties" in schema else "string")
    names: Sequence[str] = [named] if isinstance(named, str) else named
    return next((name for name in names if name != "null"), "null").lower()


def _value_of_type(name: str, schema: Schema, root: Schema) -> Any:
    match name:
        case "object":
            properties = schema.get("properties") or {}
            return {key: plausible_value(properties.get(key) or {}, root=root) for key in schema.get("required") or ()}
        case "array":
            return [plausible_value(schema.get("items") or {}, root=root)] * int(schema.get("minItems", 0))
        case "integer" | "number":
            return schema.get("minimum", min(1, schema.get("maximum", 1)))
        case "boolean":
            return False
        case "null":
            return None
    return _TEXT


def _referred(reference: str, root: Schema) -> Schema:
    node: Any = root
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node if isinstance(node, Mapping) else {}
