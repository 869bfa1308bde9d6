"""Prints: data on stdout, messages on stderr (contract 3). No other module prints."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from aegis_tui.domain.inert import escape_hidden
from aegis_tui.domain.inert import inert as shown
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.errors import AegisError, LockHeld
from aegis_tui.sdk.wire import WIRE_VERSION

_BYTE = re.compile("[\udc80-\udcff]")
"""A byte of a file name that is not UTF-8, as Python represents it in a string (PEP 383)."""


def inert(text: str) -> str:
    """Return the text with `�` in place of each hidden or control character (SEC-2).

    Tabs and newlines are kept, and what is part of an emoji.
    """
    return shown(text, keep="\n\t")


def json_text(value: object, *, indent: int | None = None) -> str:
    """Return the value as JSON, in which characters that could change what a terminal shows are escaped.

    A path that is not UTF-8 gets its written form (contract 3); such bytes inside other text become octal escapes.
    A lone surrogate, which UTF-8 cannot encode either, is escaped too, so the result can always be printed.

    Args:
        value: What `json.dumps` takes; a model of pydantic is written as its fields without those that are None, any
            other object as `str`.
        indent: Spaces of indentation; None for a single line.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=_fields_of)
    if _BYTE.search(text):
        text = json.dumps(_written(json.loads(text)), ensure_ascii=False, indent=indent)
    return escape_hidden(text)


def _fields_of(value: object) -> object:
    dump = getattr(value, "model_dump", None)  # pydantic is not imported for the commands that have no such values
    return str(value) if dump is None else dump(mode="json", exclude_none=True)


def _written(value: Any) -> Any:
    """Return the value with the bytes in its texts that are not UTF-8 in a form that can be printed (contract 3).

    A text that begins with a slash is a path and gets its written form (see `write_name`). In any other text, each such
    byte becomes an octal escape. Names of fields are treated in the same way.
    """
    match value:
        case dict():
            return {_written(name): _written(inner) for name, inner in value.items()}
        case list():
            return [_written(inner) for inner in value]
        case str() if _BYTE.search(value):
            return write_name(value) if value.startswith("/") else _BYTE.sub(_octal, value)
        case _:
            return value


def _octal(match: re.Match[str]) -> str:
    return f"\\{ord(match[0]) - 0xDC00:03o}"


def data(text: str) -> None:
    """Print a text and a line end on stdout, with `�` for hidden characters; line breaks and tabs are kept.

    Raises:
        BrokenPipeError: Nobody reads stdout any more.
    """
    sys.stdout.write(inert(text) + "\n")
    sys.stdout.flush()


def talk(text: str) -> None:
    """Print a text and a line end on stderr, with `�` for hidden characters; line breaks and tabs are kept.

    Raises:
        BrokenPipeError: Nobody reads stderr any more.
    """
    sys.stderr.write(inert(text) + "\n")
    sys.stderr.flush()


def result(fields: Mapping[str, object], *, as_json: bool, lines: Iterable[str] = ()) -> None:
    """Print the outcome of a successful command on stdout.

    Args:
        fields: Printed with `as_json`, as one JSON object, after `schema_version` and `"ok": true`; a field of the same
            name replaces one of these.
        as_json: Print the fields instead of the lines.
        lines: Printed without `as_json`, for a person.

    Raises:
        BrokenPipeError: Nobody reads stdout any more.
    """
    if as_json:
        data(json_text({"schema_version": WIRE_VERSION, "ok": True, **fields}))
    else:
        for line in lines:
            data(line)


def failure(error: AegisError, *, as_json: bool) -> int:
    """Print an error and its hint, with `as_json` as JSON on stdout, else as text on stderr; return its exit code.

    Raises:
        BrokenPipeError: Nobody reads the output any more.
    """
    if as_json:
        wire = {"schema_version": WIRE_VERSION, "ok": False, **_extra(error), "error": error.to_wire()}
        data(json_text(wire))
    else:
        talk(f"aegis-tui: {error.message}{_holder(error)}")
        if error.hint:
            talk(f"  {error.hint}")
    return error.exit_code


def _holder(error: AegisError) -> str:
    """Return what to append to the message of a `LockHeld`: who holds the lock, and for how many seconds at most.

    The holder is left out if the message names it, the seconds if they are not known. Empty for any other error, and
    for a `LockHeld` that has no holder in its data (LOCK-6).
    """
    facts = error.data
    held_by, left_s = facts.get("held_by"), facts.get("expires_in_s")
    if not isinstance(error, LockHeld) or not held_by:
        return ""
    holder = ""
    if str(held_by) not in error.message:
        region = f":{facts['region']}" if facts.get("region") else ""
        mode = f" ({facts['mode']})" if facts.get("mode") else ""
        holder = f"; {held_by} holds {facts.get('path', 'it')}{region}{mode}"
    return f"{holder}, for at most {math.ceil(left_s)} s more" if isinstance(left_s, int | float) else holder


def _extra(error: AegisError) -> dict[str, Any]:
    return {name: error.data[name] for name in ("overlaps", "held_by", "expires_in_s") if name in error.data}


def table(rows: Iterable[Iterable[str]]) -> list[str]:
    """Return one line per row of cells, with aligned columns, without blanks at the end; empty if there are no rows.

    In a cell, line breaks and tabs become blanks, and hidden characters become `�`.

    Raises:
        ValueError: A row has more cells than the first.
        IndexError: A row has fewer cells than the first.
    """
    cells = [[inert(cell).replace("\n", " ").replace("\t", " ") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))] if cells else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def short(text: str | None, room: int = 60) -> str:
    """Return the first line of a text that is not blank; empty if there is none, or for None.

    Of a line with more than `room` characters, only these are returned, with `…` after them.
    """
    line = (text or "").strip().partition("\n")[0]
    return line[:room] + "…" * (len(line) > room)
