"""Parse the text of a client's request into a JSON object, in the same way for REST, the WebSocket and MCP.

Strict on purpose: JSON that two parsers could read differently is refused (RFC 8259 4, 6, 8.1).
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from aegis_tui.domain.inert import has_hidden
from aegis_tui.domain.model import MAX_INT, SCHEMA_VERSION
from aegis_tui.errors import UsageError

MAX_REQUEST_ID = 200
_MOST_DIGITS = len(str(MAX_INT))
_REQUEST_ID = f"request_id must be a string of 1 to {MAX_REQUEST_ID} visible characters"


class _NotStrict(ValueError):
    """JSON that Python can read but that is refused; the error's text says why."""


def parse_request(text: str | bytes | bytearray) -> dict[str, Any]:
    """Parse a request, which must be one JSON object with an acceptable `request_id` or none.

    Raises:
        UsageError: It is not JSON in UTF-8, has a byte order mark, NaN or Infinity, a duplicate key or a number out of
            range, is not an object, or has a request id that `check_request_id` refuses.
    """
    frame = parse_json(text)
    if not isinstance(frame, dict):
        raise UsageError("the request must be one JSON object", "see /openapi.json and /asyncapi.json")
    check_request_id(frame.get("request_id"))
    return frame


def parse_json(text: str | bytes | bytearray) -> Any:
    """Parse any JSON value, as strictly as requests are parsed.

    Raises:
        UsageError: It is not JSON in UTF-8, has a byte order mark, NaN or Infinity, a duplicate key or a number out of
            range.
    """
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode("utf-8"))
    except _NotStrict as error:
        raise UsageError(f"the request is not strict JSON: {error}", "send one JSON object, in UTF-8") from error
    except UnicodeDecodeError as error:
        raise UsageError("the request is not UTF-8", "send one JSON object, in UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            "the request is not JSON", "send one JSON object, in UTF-8 without a byte order mark"
        ) from error


def check_request_id(request_id: object) -> None:
    """Return if a client may use this request id: 1 to 200 visible characters; None, for no id, is allowed.

    Raises:
        UsageError: It is not a text, is empty or too long, or has invisible characters.
    """
    if request_id is None:
        return
    if not (isinstance(request_id, str) and 0 < len(request_id) <= MAX_REQUEST_ID) or has_hidden(request_id):
        raise UsageError(_REQUEST_ID, "a UUID will do")


def check_version(frame: dict[str, Any]) -> None:
    """Return if the frame has the protocol version of this program, or names none.

    Raises:
        UsageError: It names another version, or its version is not a whole number.
    """
    version = frame.get("v", SCHEMA_VERSION)
    if type(version) is not int or version != SCHEMA_VERSION:
        raise UsageError(f"v: only version {SCHEMA_VERSION} is known", "update aegis-tui")


def check_numbers(value: object) -> None:
    """Return if JSON values that another parser has read hold only numbers that `parse_json` accepts.

    Args:
        value: The values; not nested deeper than Python can recurse.

    Raises:
        UsageError: An integer is out of range, or a float is NaN or infinite.
    """
    if isinstance(value, dict):
        for item in value.values():
            check_numbers(item)
    elif isinstance(value, list | tuple):
        for item in value:
            check_numbers(item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{value} is not a JSON number", "leave the field out")
    elif isinstance(value, int) and not -MAX_INT <= value <= MAX_INT:
        raise UsageError(_out_of_range(), "send it as text")


def _out_of_range() -> str:
    return f"an integer lies outside -{MAX_INT} to {MAX_INT}"


def _integer(digits: str) -> int:
    if len(digits) <= _MOST_DIGITS + 1 and -MAX_INT <= (value := int(digits)) <= MAX_INT:
        return value
    raise _NotStrict(_out_of_range())


def _decimal(digits: str) -> float:
    if math.isfinite(value := float(digits)):
        return value
    raise _NotStrict(f"{digits[:40]} is out of range")


def _no_constant(name: str) -> NoReturn:
    raise _NotStrict(f"{name} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _NotStrict(f"the key {twice[:40]!r} occurs twice in one object")
    return fields


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_decimal, parse_constant=_no_constant
)
