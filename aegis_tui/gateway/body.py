"""The body of a model call: read, and completed by what the server needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from aegis_tui.gateway.dialect import Dialect
from aegis_tui.gateway.rejected import Rejected


@dataclass(frozen=True)
class Prepared:
    """A request body in the form in which it is sent."""

    body: bytes
    model: str
    stream: bool


def parse_fields(raw: bytes) -> dict[str, Any]:
    """Return the fields of a request body: its JSON object, parsed.

    Raises:
        Rejected: The body is not a JSON object in UTF-8 (400).
    """
    try:
        fields = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Rejected(400, "body.json", "the request body is not JSON") from error
    if not isinstance(fields, dict):
        raise Rejected(400, "body.json", "the request body is not a JSON object")
    return fields


def needs_model(fields: dict[str, Any]) -> bool:
    """Return whether a request names no model: the field is missing, null, empty, or `default`."""
    return fields.get("model") in (None, "", "default")


def prepare_body(
    raw: bytes,
    fields: dict[str, Any],
    *,
    dialect: Dialect,
    model: str | None,
    added: Mapping[str, Any] = MappingProxyType({}),
) -> Prepared:
    """Return the body to send, with its model, and whether a stream is asked for.

    The fields of `added`, the model, and for a chat stream the request for token counts are added where needed.

    Args:
        raw: The body as received; sent unchanged if nothing is added.
        fields: The same, parsed.
        dialect: The API of the request. Chat streams report token counts only on request
            (`stream_options.include_usage`); a value that the client has set stays.
        model: The model for requests that name none; None adds nothing.
        added: More fields, in place of those that the client sent.

    Raises:
        RecursionError: A field is nested so deeply that it could be parsed but cannot be written again.
    """
    stream = fields.get("stream") is True
    added = dict(added)
    if model is not None and needs_model(fields):
        added["model"] = model
    options = fields.get("stream_options")
    if dialect == "chat" and stream and not (isinstance(options, dict) and options.get("include_usage") is not None):
        added["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    named = str(added.get("model") or fields.get("model") or "")
    if not added:
        return Prepared(raw, named, stream)
    if fields and not added.keys() & fields.keys():
        start = raw.index(b"{") + 1
        return Prepared(raw[:start] + json.dumps(added).encode()[1:-1] + b"," + raw[start:], named, stream)
    return Prepared(json.dumps({**fields, **added}, ensure_ascii=False).encode(), named, stream)
