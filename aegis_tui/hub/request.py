"""A client's request, from its text to a JSON object: the same for REST and the WebSocket."""

from __future__ import annotations

import json
from typing import Any

from aegis_tui.errors import UsageError
from aegis_tui.hub.ingress import MAX_REQUEST_ID


def parse_request(text: str | bytes | bytearray) -> dict[str, Any]:
    """The object that the text stands for; its `request_id` can be put into a reply.

    Raises:
        UsageError: Not JSON, no object, or a request id that is no text of 1 to 200 Unicode characters.
    """
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError("the request is not JSON", "send one JSON object") from error
    if not isinstance(frame, dict):
        raise UsageError("the request must be one JSON object", "see /openapi.json and /asyncapi.json")
    if not _fits_a_reply(frame.get("request_id")):
        raise UsageError(f"request_id: a text of 1 to {MAX_REQUEST_ID} characters", "a UUID will do")
    return frame


def _fits_a_reply(request_id: object) -> bool:
    if request_id is None:
        return True
    if not (isinstance(request_id, str) and 0 < len(request_id) <= MAX_REQUEST_ID):
        return False
    return request_id.isascii() or not any("\ud800" <= char <= "\udfff" for char in request_id)
