"""Encodes and decodes frames and errors for the wire (contracts 3 and 7). Standard library only."""

from __future__ import annotations

import json
from typing import Any

from aegis_tui import errors
from aegis_tui.errors import AegisError, Refused, UsageError

WIRE_VERSION = 1
"""Version of commands, replies and JSON output; equals the domain's `SCHEMA_VERSION`, whose import loads pydantic."""

MAX_FRAME_BYTES = 1 << 20
"""The largest request that the hub accepts, over REST and over the WebSocket."""

HTTP_STATUS = {1: 500, 2: 400, 3: 403, 4: 409, 5: 503}
"""The HTTP status for each exit code of contract 3."""


def encode_frame(frame: dict[str, Any]) -> str:
    """Return the JSON text of a frame.

    Raises:
        Refused: It is longer than `MAX_FRAME_BYTES`; the hub would refuse it too (over REST with 413).
        UsageError: It holds a value that JSON cannot represent.
    """
    try:
        text = json.dumps(frame, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        kind = frame.get("type", "the request")
        raise UsageError(f"{kind} cannot be written as JSON: {error}", "send strings, finite numbers, lists") from error
    if len(text) > MAX_FRAME_BYTES:
        raise Refused("the request is over 1 MiB", "send less at once", code="too_large")
    return text


def add_section(context: dict[str, Any], page: dict[str, Any]) -> None:
    """Add the entries of one page to the section of the shared context that the page names.

    Changes `context`. No effect if the context has no such section.

    Args:
        context: The shared context; a section of it is an object or a list.
        page: Has `section`, such as `locks` or `run.pieces`, and `entries`, of the type of that section.

    Raises:
        KeyError: The page lacks one of the two.
    """
    outer, _, inner = str(page["section"]).rpartition(".")
    holder = context.get(outer) if outer else context
    whole = holder.get(inner) if isinstance(holder, dict) else None
    if isinstance(whole, dict):
        whole.update(page["entries"])
    elif isinstance(whole, list):
        whole.extend(page["entries"])


def type_fits(pattern: str, name: str) -> bool:
    """Return whether an event type matches a pattern: a name, `*`, `lock:*`, `specs.*` or `specs.>`.

    A copy of the domain's `type_fits`, whose import would load every event class.
    """
    return pattern in ("*", ">", name) or (pattern[-2:] in (":*", ".*", ".>") and name.startswith(pattern[:-1]))


_Kinds = dict[tuple[str, int], type[AegisError]]


def _tree(root: type[AegisError]) -> _Kinds:
    """Return (code, exit code) -> class, for an error class and its subclasses in `aegis_tui.errors`.

    Of two that share both, the one nearer to the given class counts.
    """
    kinds: _Kinds = {}
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            kinds |= _tree(child)
    return kinds | {(root.code, root.exit_code): root}


_KINDS = _tree(AegisError)
_BY_CODE = {code: kind for (code, _), kind in _KINDS.items()}
"""Error class by code, whatever the exit code."""
_BY_EXIT_CODE: dict[int, type[AegisError]] = {
    1: AegisError,
    2: errors.UsageError,
    3: errors.Refused,
    4: errors.Conflict,
    5: errors.Unavailable,
}
_LOCK_CODES = {"HELD", "TIMEOUT", "DEADLOCK", "UPGRADE"}


def error_to_wire(error: AegisError) -> dict[str, Any]:
    """Return the `error` object of a reply: code, message, hint, exit_code, and the facts in the error's `data`."""
    return {**error.to_wire(), "exit_code": error.exit_code}


def error_from_wire(wire: object) -> AegisError:
    """Return the error that the `error` object of a reply describes.

    Anything else than an object gives a plain `AegisError`. Its class is the one with this code, else that of the exit
    code, else `AegisError`. Further fields become its `data`. Never raises.
    """
    if not isinstance(wire, dict):
        return AegisError("the hub refused without saying why")
    facts = {str(name): value for name, value in wire.items()}
    code = str(facts.pop("code", AegisError.code))
    message = str(facts.pop("message", "the hub refused"))
    hint = str(facts.pop("hint", ""))
    exit_code = facts.pop("exit_code", 1)
    kind = _class_of(code, exit_code)
    error = kind(message, hint, code=code)
    error.data.update(facts)
    return error


def _class_of(code: str, exit_code: object) -> type[AegisError]:
    if code in _LOCK_CODES:
        return errors.LockHeld
    exit_number = exit_code if isinstance(exit_code, int) else 0
    return _KINDS.get((code, exit_number)) or _BY_CODE.get(code) or _BY_EXIT_CODE.get(exit_number, AegisError)
