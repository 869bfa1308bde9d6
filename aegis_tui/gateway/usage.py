"""Counts the tokens of a stream while it passes, without delaying a byte."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

LINE_LIMIT_BYTES = 8 * 1024 * 1024
"""The longest line of an event stream that is read."""
LINE_END = re.compile(rb"[\r\n]")
"""The end of a line of an event stream; CRLF counts as two, with an empty line between them."""
_FINISHED = re.compile(rb'"(?:finish_reason|done_reason)"\s*:\s*"')
"""A chat completion is complete once the server names the reason why it stopped; not all send `[DONE]` after it."""
_GOOD_ENDS = frozenset(
    {
        b"data: [DONE]",
        b"data:[DONE]",
        b"event: message_stop",
        b"event: response.completed",
        b"event: response.failed",
        b"event: response.incomplete",
        b"event: error",
    }
)


@dataclass
class TokenUsage:
    """The tokens of a call as the server counted them; in a stream, later values replace earlier ones."""

    prompt_tokens: int = 0
    """Prompt tokens, including those from the cache."""
    completion_tokens: int = 0
    """Generated tokens."""
    cached_tokens: int = 0
    """Prompt tokens that the server had in its prefix cache."""

    def note(self, body: Any) -> None:
        """Replace the counts by those in an answer or a stream event of any dialect; counts that are not in it stay.

        Args:
            body: The parsed JSON; no effect if it is no object or has no `usage`.
        """
        if not isinstance(body, dict):
            return
        for holder in (body, body.get("response"), body.get("message")):
            if isinstance(holder, dict) and isinstance(usage := holder.get("usage"), dict):
                self._note_usage(usage)

    def _note_usage(self, usage: dict[str, Any]) -> None:
        if "prompt_tokens" in usage:
            self.prompt_tokens = _count(usage["prompt_tokens"])
            self.completion_tokens = _count(usage.get("completion_tokens"))
            self.cached_tokens = _detail(usage, "prompt_tokens_details")
            return
        if "cache_read_input_tokens" in usage:
            self.cached_tokens = _count(usage["cache_read_input_tokens"])
        elif "input_tokens_details" in usage:
            self.cached_tokens = _detail(usage, "input_tokens_details")
        if "input_tokens" in usage:
            apart = _count(usage.get("cache_read_input_tokens")) + _count(usage.get("cache_creation_input_tokens"))
            self.prompt_tokens = _count(usage["input_tokens"]) + apart
        if "output_tokens" in usage:
            self.completion_tokens = _count(usage["output_tokens"])


class LineSplitter:
    """Cuts a stream of bytes into lines, wherever the network has cut it; a line may come in many small parts."""

    def __init__(self) -> None:
        self.size_bytes = 0
        """The length of the line that is not complete."""
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes; return the lines that they complete, in order and without their ends; empty if none.

        Both CR and LF end a line, so CRLF gives an empty line more.
        """
        if LINE_END.search(chunk) is None:
            self._parts.append(chunk)
            self.size_bytes += len(chunk)
            return []
        *lines, rest = LINE_END.split(b"".join((*self._parts, chunk)))
        self._parts, self.size_bytes = [rest], len(rest)
        return lines

    def take_rest(self) -> bytes:
        """Return what was received of the line that is not complete, and forget it."""
        rest = b"".join(self._parts)
        self._parts, self.size_bytes = [], 0
        return rest


class StreamTap:
    """Reads the events of a server-sent event stream that passes by. Source: WHATWG HTML, 9.2.

    Args:
        usage: Gets the token counts.
    """

    def __init__(self, usage: TokenUsage) -> None:
        self._usage = usage
        self._lines = LineSplitter()
        self._is_skipping = False
        self.ended_well = False
        """Whether the server has marked the answer as complete."""

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes, split at any place; set the token counts and `ended_well` by the lines that they end.

        A line of more than `LINE_LIMIT_BYTES` (8 MiB) is skipped. Raises nothing.
        """
        lines = self._lines.feed(chunk)
        if self._is_skipping and lines:
            lines = lines[1:]
            self._is_skipping = False
        for line in lines:
            self._read(line)
        if self._lines.size_bytes > LINE_LIMIT_BYTES:
            self._lines.take_rest()
            self._is_skipping = True

    def end(self) -> None:
        """Read what is left after the last line end as a line; call it once, when the body has ended."""
        rest = self._lines.take_rest()
        if not self._is_skipping:
            self._read(rest)

    def _read(self, line: bytes) -> None:
        if b'"usage"' in line and line.startswith(b"data:"):
            self._usage.note(parse_json(line[5:]))
        if line.rstrip() in _GOOD_ENDS or _FINISHED.search(line):
            self.ended_well = True


def parse_json(text: bytes) -> Any:
    """Return the parsed value; None if the text is not JSON, is nested too deeply, or is `null`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _detail(usage: dict[str, Any], name: str) -> int:
    details = usage.get(name)
    return _count(details.get("cached_tokens")) if isinstance(details, dict) else 0
