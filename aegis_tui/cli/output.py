"""What a person or a program reads: data on stdout, talk on stderr (contract 3). The only module that prints."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable
from typing import Any

from aegis_tui.domain.inert import escape_hidden
from aegis_tui.domain.inert import inert as shown
from aegis_tui.domain.path.file_name import write_name
from aegis_tui.errors import AegisError, LockHeld
from aegis_tui.sdk.wire import WIRE_VERSION

_BYTE = re.compile("[\udc80-\udcff]")
"""A byte of a file name that is not UTF-8, as Python has it (PEP 383)."""


def inert(text: str) -> str:
    """Text from agents, models and repositories with every hidden character made visible (SEC-2); tabs, lines stay."""
    return shown(text, keep="\n\t")


def json_text(value: object, *, indent: int | None = None) -> str:
    """The value as JSON: exact for a program, and no character in it can change what a terminal shows.

    A path that is not UTF-8 is in its written form (contract 3), and such a name within a text in its octal escapes.
    What else UTF-8 cannot carry, half a surrogate pair, is an escape as well, so the result can always be written.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    if _BYTE.search(text):
        text = json.dumps(_written(json.loads(text)), ensure_ascii=False, indent=indent)
    return escape_hidden(text)


def _written(value: Any) -> Any:
    """The value with file names in its texts, which hold bytes that are not UTF-8, as the contract writes them."""
    match value:
        case dict():
            return {_written(name): _written(inner) for name, inner in value.items()}
        case list():
            return [_written(inner) for inner in value]
        case str() if _BYTE.search(value):
            return write_name(value) if value.startswith("/") else _BYTE.sub(_octal, value)
        case _:
            return value


def _octal(found: re.Match[str]) -> str:
    return f"\\{ord(found[0]) - 0xDC00:03o}"


def data(text: str) -> None:
    """One line for stdout."""
    sys.stdout.write(inert(text) + "\n")
    sys.stdout.flush()


def talk(text: str) -> None:
    """One line for stderr."""
    sys.stderr.write(inert(text) + "\n")
    sys.stderr.flush()


def result(fields: dict[str, Any], *, as_json: bool, lines: Iterable[str] = ()) -> None:
    """The outcome of a command: one JSON object, or lines for a person."""
    if as_json:
        data(json_text({"schema_version": WIRE_VERSION, "ok": True, **fields}))
    else:
        for line in lines:
            data(line)


def failure(error: AegisError, *, as_json: bool) -> int:
    """Tell what went wrong and what to do; returns the exit code."""
    if as_json:
        wire = {"schema_version": WIRE_VERSION, "ok": False, **_extra(error), "error": error.to_wire()}
        data(json_text(wire))
    else:
        talk(f"aegis-tui: {error.message}{_holder(error)}")
        if error.hint:
            talk(f"  {error.hint}")
    return error.exit_code


def _holder(error: AegisError) -> str:
    """Who is in the way of a lock and for how long, as far as the error's own words do not say it (LOCK-6)."""
    facts = error.data
    held_by, left_s = facts.get("held_by"), facts.get("expires_in_s")
    if not isinstance(error, LockHeld) or not held_by:
        return ""
    told = ""
    if str(held_by) not in error.message:
        region = f":{facts['region']}" if facts.get("region") else ""
        mode = f" ({facts['mode']})" if facts.get("mode") else ""
        told = f"; {held_by} holds {facts.get('path', 'it')}{region}{mode}"
    return f"{told}, for {math.ceil(left_s)} s more at most" if isinstance(left_s, int | float) else told


def _extra(error: AegisError) -> dict[str, Any]:
    return {name: error.data[name] for name in ("overlaps", "held_by", "expires_in_s") if name in error.data}


def table(rows: Iterable[Iterable[str]]) -> list[str]:
    """Rows as aligned columns."""
    cells = [[inert(cell).replace("\n", " ").replace("\t", " ") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))] if cells else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def short(text: str | None, room: int = 60) -> str:
    """The first line of a text, cut to so many characters."""
    line = (text or "").strip().partition("\n")[0]
    return line[:room] + "…" * (len(line) > room)
