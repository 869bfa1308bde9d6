"""Splits the body of a streamed reply into JSON texts: server-sent events, one JSON value, or one value per line.

Only LF, CR and CRLF end a line of an event stream; U+2028, U+0085 and the like are text (WHATWG HTML, 9.2.6). httpx's
`aiter_lines` splits there too, and so does httpx-sse, which uses it; hence this decoder over bytes.
"""

from __future__ import annotations

import json
import re
from typing import Any

from aegis_tui.domain.prompt import inert

DONE = "[DONE]"
"""The data of the last event of OpenAI's API."""

REPLY_LIMIT_BYTES = 64 * 1024 * 1024
_PIECE_CHARS = 200
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"
_SILENT_FIELDS = frozenset({"", "event", "id", "retry"})
"""Fields that are ignored; the empty name is a comment."""


class OddBody(Exception):
    """The body is not a stream of JSON. The message says what was received instead."""


class EventStream:
    """Decodes server-sent events from chunks that may end anywhere, even inside a character or a line end."""

    def __init__(self) -> None:
        self._partial: list[bytes] = []
        self._data: list[str] = []
        self._skips_lf = False
        self._is_first_line = True
        self.oddity = ""
        """The first line that is not part of an event; a page of HTML consists of such lines."""

    def feed(self, chunk: bytes) -> list[str]:
        """Return the data of every event that `chunk` completes, in order; often empty.

        Several `data` lines of one event are joined by line breaks; an `error` line is turned into the data
        `{"error": …}`. Bytes that are not UTF-8 are replaced. Raises nothing, whatever the bytes.
        """
        if self._skips_lf and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._skips_lf = False
        first, *rest = _LINE_END.split(chunk)
        self._partial.append(first)
        if not rest:
            return []
        self._skips_lf = chunk.endswith(b"\r")
        lines = [b"".join(self._partial), *rest[:-1]]
        self._partial = [rest[-1]]
        return [event for line in lines if (event := self._take(line)) is not None]

    def end(self) -> list[str]:
        """Return the data of the incomplete last event, else an empty list; call it at the end of the body.

        The standard drops it, but some servers do not end their last event.
        """
        last = self._take(b"".join(self._partial))
        self._partial = []
        if last is None and self._data:
            last, self._data = "\n".join(self._data), []
        return [last] if last else []

    def _take(self, raw: bytes) -> str | None:
        if self._is_first_line:
            raw = raw.removeprefix(_BOM)
            self._is_first_line = False
        if not raw:
            event, self._data = "\n".join(self._data) if self._data else None, []
            return event
        name, _, value = raw.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "error":  # llama.cpp's server before 2026 sent its errors under this name
            self._data.append(value if value.startswith('{"error"') else f'{{"error": {value}}}')
        elif name not in _SILENT_FIELDS:
            self.oddity = self.oddity or raw.decode("utf-8", "replace")
        return None


class ReplyBody:
    """Splits a reply's body into JSON texts, in whichever of the three forms the server sends it."""

    def __init__(self) -> None:
        self._events = EventStream()
        self._whole: list[bytes] | None = None
        self._is_decided = False
        self._size_bytes = 0

    def feed(self, chunk: bytes) -> list[str]:
        """Return the JSON texts that `chunk` completes; they are not parsed, and `[DONE]` may be one of them.

        A body that is plain JSON, not a stream of events, is returned as one text by `end` only.

        Raises:
            OddBody: The reply is over 64 MiB.
        """
        self._size_bytes += len(chunk)
        if self._size_bytes > REPLY_LIMIT_BYTES:
            raise OddBody("sent a reply over 64 MiB")
        if not self._is_decided:
            self._decide(chunk)
        if self._whole is None:
            return self._events.feed(chunk)
        self._whole.append(chunk)
        return []

    def end(self) -> list[str]:
        """Return the JSON texts that only the end of the body completes; they are not parsed, and there may be none.

        Raises:
            OddBody: The body was not empty but contained neither JSON nor an event.
        """
        if self._whole is not None:
            text = b"".join(self._whole).decode("utf-8-sig", "replace").strip()
            return [text] if text else []
        texts = self._events.end()
        if not texts and self._events.oddity:
            raise OddBody(f"sent something that is not a reply: {show_piece(self._events.oddity)}")
        return texts

    def _decide(self, chunk: bytes) -> None:
        start = chunk.removeprefix(_BOM).lstrip()
        if start:
            self._is_decided = True
            self._whole = [] if start[:1] in (b"{", b"[") else None


def parse_texts(text: str) -> list[Any]:
    """Return the JSON values in one text of a body; several if a server puts one on each line.

    Between such lines, `[DONE]` is ignored.

    Raises:
        OddBody: It is not JSON; the message ends with a part of it.
    """
    try:
        return [_parse(text)]
    except ValueError:
        lines = [line for line in re.split(r"[\r\n]", text) if line.strip() and line.strip() != DONE]
    try:
        if len(lines) > 1:
            return [_parse(line) for line in lines]
    except ValueError:
        pass
    raise OddBody(f"sent a chunk that is not JSON: {show_piece(text)}")


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def show_piece(value: Any) -> str:
    """Return a value that was not understood as one line, safe to show on a terminal and in a log.

    What is no text is shown as JSON, or else as the name of its type. Over 200 characters it is cut off, with an
    ellipsis at the end. Raises nothing, whatever the value.
    """
    if not isinstance(value, str):
        try:
            value = json.dumps(value, ensure_ascii=False, default=str)
        except (ValueError, RecursionError):
            value = f"a {type(value).__name__}"
    flat = " ".join(inert(value).split())
    flat = flat.encode("utf-8", "replace").decode("utf-8")
    return flat if len(flat) <= _PIECE_CHARS else flat[:_PIECE_CHARS] + "…"
