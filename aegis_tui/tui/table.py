"""Converts tables of a TOML file to named tuples and checks names and types, without importing pydantic (PERF-5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T", bound=tuple[Any, ...])


class Misfit(ValueError):
    """A value in the file is wrong, missing or unknown.

    Args:
        place: The path to the value in the file: names of tables and fields, and indexes of lists.
        reason: What is wrong with it.
    """

    def __init__(self, place: tuple[str, ...], reason: str) -> None:
        super().__init__(f"{'.'.join(place)}: {reason}")


def read_table(kind: type[T], table: object, *, least: Mapping[str, int], place: tuple[str, ...] = ()) -> T:
    """Convert a table of a TOML file to an object of a `NamedTuple` class, and check names and types.

    Args:
        kind: The class. Its fields are str, bool, int, other such classes, or tuples of one of these, for lists. A
            field with a default may be absent from the table.
        table: The table as `tomllib` returns it.
        least: Name of a number field, in any table -> its smallest value.
        place: The path to the table in the file, for messages; empty for the whole file.

    Raises:
        Misfit: `table` is no table, a name is unknown or missing, a value is of another type or too small, or a list is
            empty.
    """
    if not isinstance(table, dict):
        raise Misfit(place, "has to be a table")
    kinds, defaults = get_type_hints(kind), kind._field_defaults  # type: ignore[attr-defined]
    values = {}
    for name, wanted in kinds.items():
        if name in table:
            values[name] = _value(wanted, table[name], least, (*place, name))
        elif name not in defaults:
            raise Misfit((*place, name), "is missing")
    for name in table:
        if name not in kinds:
            raise Misfit((*place, name), "there is no such field")
    return kind(**values)


def _value(wanted: Any, value: Any, least: Mapping[str, int], place: tuple[str, ...]) -> Any:
    if get_origin(wanted) is tuple:
        if not isinstance(value, list) or not value:
            raise Misfit(place, "has to be a list with at least one item")
        return tuple(_value(get_args(wanted)[0], item, least, (*place, str(at))) for at, item in enumerate(value))
    if hasattr(wanted, "_fields"):
        return read_table(wanted, value, least=least, place=place)
    if type(value) is not wanted:
        raise Misfit(place, f"has to be {_WORDS[wanted]}")
    if wanted is int and value < least.get(place[-1], value):
        raise Misfit(place, f"has to be at least {least[place[-1]]}")
    return value


_WORDS = {str: "a string", int: "a whole number", bool: "true or false"}
