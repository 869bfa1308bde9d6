"""How answers of Google's API are sent: as server-sent events, or as one JSON list (LLM-10)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from aegis_tui.gateway.dialect import error_body
from aegis_tui.gateway.google_fields import Fields


@dataclass
class Framing:
    """How the events of an answer follow each other: as server-sent events (`alt=sse`), or as one JSON list."""

    is_sse: bool
    count: int = 0

    def head(self) -> tuple[bytes, bytes]:
        """Return the `content-type` header, name and value, for a body of this form."""
        return (b"content-type", b"text/event-stream" if self.is_sse else b"application/json")

    def frame(self, event: Fields) -> bytes:
        """Return the bytes of the next event; call it once for each event, in order: the first one opens the list."""
        self.count += 1
        body = json.dumps(event).encode()
        if self.is_sse:
            return b"data: " + body + b"\r\n\r\n"
        return (b"[" if self.count == 1 else b",\r\n") + body

    def end(self) -> bytes:
        """Return what ends the body, after at least one event; empty for server-sent events."""
        return b"" if self.is_sse else b"]"

    def broken(self, code: str, message: str) -> bytes:
        """Return what ends a body that has begun with an error; nothing may follow.

        Among server-sent events the error is sent twice. As an event it reaches every client; on its own, without
        `data:`, it is what Google's own JavaScript client takes for an error (`processStreamResponse` in
        googleapis/js-genai). In a JSON list it is the last item.

        Args:
            code: A stable code, such as `upstream.lost`.
            message: One sentence.
        """
        body = error_body("google", 502, code=code, message=message)
        return self.frame(json.loads(body)) + (body if self.is_sse else self.end())
