from typing import Any

import pytest

from aegis_tui.testing.schema_value import plausible_arguments, plausible_value


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "scripted"),
        ({}, "scripted"),
        ({"type": "STRING", "enum": ["a", "b"]}, "a"),
        ({"type": "boolean", "default": True}, True),
        ({"const": 5}, 5),
        ({"examples": ["x"]}, "x"),
        ({"type": "integer"}, 1),
        ({"type": "number", "minimum": 2.5}, 2.5),
        ({"type": "integer", "maximum": 0}, 0),
        ({"type": "BOOLEAN"}, False),
        ({"type": ["null", "boolean"]}, False),
        ({"type": ["null"]}, None),
        ({"anyOf": [{"type": "array"}, {"type": "null"}]}, []),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a", "c"]}, {"a": 1, "c": "scripted"}),
    ],
)
def test_a_value_fits_its_schema(schema: dict[str, Any], value: object) -> None:
    found = plausible_value(schema, root=schema)
    assert (found, type(found)) == (value, type(value))


def test_required_arguments_are_filled_in_and_given_ones_are_kept() -> None:
    schema = {
        "$defs": {"Kind": {"enum": ["slow", "fast"]}},
        "properties": {"kind": {"$ref": "#/$defs/Kind"}, "wait_s": {"type": "integer"}, "note": {"type": "string"}},
        "required": ["command", "kind"],
    }
    assert plausible_arguments(schema, {"command": "ls"}) == {"command": "ls", "kind": "slow"}
    assert plausible_arguments(schema, {"kind": "fast", "command": "ls"}) == {"kind": "fast", "command": "ls"}
    assert plausible_arguments({}, {"a": 1}) == {"a": 1}
