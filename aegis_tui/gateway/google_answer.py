"""Translates answers of chat completions into answers of Google's Gemini API.

Source: https://ai.google.dev/api/generate-content#GenerateContentResponse, v1beta. Text passes at once; a tool call is
sent when it is whole, because Google's API has no parts of one. Reasoning of the model is left out.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aegis_tui.gateway.google_fields import Fields
from aegis_tui.gateway.usage import LINE_LIMIT_BYTES, LineSplitter, TokenUsage, parse_json

_REASONS = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}
"""Why the server stopped -> why a candidate ended; everything else is `STOP`."""
_MALFORMED = "MALFORMED_FUNCTION_CALL"


@dataclass
class _Call:
    """A tool call of a chat completion, which grows by the fragments of a stream."""

    call_id: str = ""
    name: str = ""
    arguments: str = ""

    def to_part(self) -> Fields | None:
        """Return the call as a `functionCall` part of Google's API; without arguments, with an empty object.

        None if it has no name or its arguments are not a JSON object.
        """
        arguments = parse_json(self.arguments.encode("utf-8", "surrogatepass")) if self.arguments.strip() else {}
        if isinstance(arguments, str):  # some servers encode the object twice
            arguments = parse_json(arguments.encode("utf-8", "surrogatepass"))
        if not isinstance(arguments, dict) or not self.name:
            return None
        named = {"id": self.call_id} if self.call_id else {}
        return {"functionCall": {**named, "name": self.name, "args": arguments}}


@dataclass
class _Candidate:
    """One choice of a chat completion, so far; Google's API calls it a candidate."""

    index: int
    reason: str = ""
    calls: list[_Call] = field(default_factory=list)
    _by_index: dict[int, _Call] = field(default_factory=dict)

    def take(self, delta: Fields) -> str:
        """Add a chat message or, in a stream, a part of one; return its text, an empty one if it has none.

        Its tool calls are kept for `end`, its text is not.

        Args:
            delta: The `message` or `delta` of a choice.
        """
        fragments = delta.get("tool_calls")
        for fragment in fragments if isinstance(fragments, list) else ():
            if isinstance(fragment, dict):
                self._take_call(fragment)
        return _text_of(delta.get("content"))

    def _take_call(self, fragment: Fields) -> None:
        function = fragment.get("function")
        function = function if isinstance(function, dict) else {}
        call = self._call_of(fragment, function)
        call.call_id = call.call_id or str(fragment.get("id") or "")
        call.name = call.name or str(function.get("name") or "")
        arguments = function.get("arguments")
        call.arguments += arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else ""

    def _call_of(self, fragment: Fields, function: Fields) -> _Call:
        """Return the call that a fragment belongs to; create it if the fragment begins a new one.

        It is found by the fragment's index. A fragment without one belongs to the newest call, unless it names a
        function or there is no call yet: then it begins one.
        """
        index = fragment.get("index")
        if isinstance(index, int):
            if index not in self._by_index:
                self.calls.append(_Call())
                self._by_index[index] = self.calls[-1]
            return self._by_index[index]
        if not self.calls or function.get("name"):
            self.calls.append(_Call())
        return self.calls[-1]

    def end(self, parts: list[Fields]) -> Fields:
        """Return the complete candidate: with these parts, its tool calls, and the reason why it ended.

        If one of its calls cannot be read, it has none of them, and its reason is `MALFORMED_FUNCTION_CALL`. A choice
        for which the server gave no reason ends with `STOP`.

        Args:
            parts: The parts of text that were not sent yet.
        """
        calls = [call.to_part() for call in self.calls]
        whole = [part for part in calls if part is not None]
        if len(whole) < len(calls):
            broken = next(call.name for call, part in zip(self.calls, calls, strict=True) if part is None)
            why = f"the arguments of {broken or 'a call'} are not a JSON object"
            return {**self.say(parts), "finishReason": _MALFORMED, "finishMessage": why}
        return {**self.say([*parts, *whole]), "finishReason": _REASONS.get(self.reason, "STOP")}

    def say(self, parts: list[Fields]) -> Fields:
        """Return the candidate with these parts, without an end; with an empty text if there are none."""
        return {"content": {"role": "model", "parts": parts or [{"text": ""}]}, "index": self.index}


class Answer:
    """The answer in Google's form to one request, from the chunks of a stream or from a whole chat completion.

    Args:
        model: The name of the model, which the answer shows.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._response_id = ""
        self._candidates: dict[int, _Candidate] = {}

    @property
    def is_finished(self) -> bool:
        """Whether the server has said of every choice why it stopped; False before the first choice."""
        return bool(self._candidates) and all(item.reason for item in self._candidates.values())

    def take(self, chunk: Fields) -> list[Fields]:
        """Take a chunk of a stream, and return the events in Google's form to send now.

        That is one for each choice of which the chunk brings text; the list is empty if it brings none. Tool calls are
        kept for the last event.
        """
        self._response_id = self._response_id or str(chunk.get("id") or "")
        events = []
        for candidate, choice in self._choices(chunk):
            if text := candidate.take(_object(choice.get("delta"))):
                events.append(self._event([candidate.say([{"text": text}])]))
        return events

    def finish(self) -> None:
        """Take the end mark of a stream: every choice is complete, even if the server has not said why."""
        for candidate in self._candidates.values():
            candidate.reason = candidate.reason or "stop"

    def last(self, usage: TokenUsage) -> Fields:
        """Return the last event of a stream: for each choice its tool calls and why it ended, and the token counts."""
        return self._event([item.end([]) for item in self._candidates.values()], usage)

    def whole(self, body: Fields, usage: TokenUsage) -> Fields | None:
        """Return the answer for the body of a whole chat completion, with token counts; None if it holds no choice."""
        self._response_id = str(body.get("id") or "")
        candidates = []
        for candidate, choice in self._choices(body):
            text = candidate.take(_object(choice.get("message")))
            candidates.append(candidate.end([{"text": text}] if text else []))
        return self._event(candidates, usage) if candidates else None

    def _choices(self, body: Fields) -> list[tuple[_Candidate, Fields]]:
        choices = body.get("choices")
        pairs = []
        for at, choice in enumerate(choices if isinstance(choices, list) else ()):
            if not isinstance(choice, dict):
                continue
            index = choice.get("index")
            index = index if isinstance(index, int) else at
            candidate = self._candidates.setdefault(index, _Candidate(index))
            candidate.reason = str(choice.get("finish_reason") or "") or candidate.reason
            pairs.append((candidate, choice))
        return pairs

    def _event(self, candidates: list[Fields], usage: TokenUsage | None = None) -> Fields:
        event: Fields = {"candidates": candidates}
        if usage is not None:
            event["usageMetadata"] = usage_metadata(usage)
        event["modelVersion"] = self._model
        return {**event, "responseId": self._response_id} if self._response_id else event


def usage_metadata(usage: TokenUsage) -> Fields:
    """Return token counts as Google names them; the prompt's include those from the cache, as there.

    The count of tokens from the cache is left out if it is 0.
    """
    counts = {
        "promptTokenCount": usage.prompt_tokens,
        "candidatesTokenCount": usage.completion_tokens,
        "totalTokenCount": usage.prompt_tokens + usage.completion_tokens,
    }
    return {**counts, "cachedContentTokenCount": usage.cached_tokens} if usage.cached_tokens else counts


def problem_text(body: bytes) -> str:
    """Return what a server says in the body of an error: the text of its `error`, `message` or `detail`.

    The whole body as text if it is not JSON with one of them; it may be empty.
    """
    value = parse_json(body)
    while isinstance(value, dict):
        value = value.get("error") or value.get("message") or value.get("detail")
    return value if isinstance(value, str) else body.decode("utf-8", "replace")


async def chat_chunks(parts: AsyncIterator[bytes]) -> AsyncIterator[Fields | None]:
    """Yield the JSON object of each event of a stream of server-sent events, wherever it is cut, and None for `[DONE]`.

    An event whose data is not a JSON object yields an empty one. After a line over 8 MiB nothing more is yielded, so
    that the answer counts as cut off. Errors of `parts` are passed on. Source: WHATWG HTML, 9.2.
    """
    splitter = LineSplitter()
    async for part in parts:
        for line in splitter.feed(part):
            if line.startswith(b"data:"):
                yield _data_of(line)
        if splitter.size_bytes > LINE_LIMIT_BYTES:
            return
    rest = splitter.take_rest()
    if rest.startswith(b"data:"):
        yield _data_of(rest)


def _data_of(line: bytes) -> Fields | None:
    data = line[5:].strip()
    return None if data == b"[DONE]" else _object(parse_json(data))


def _object(value: Any) -> Fields:
    return value if isinstance(value, dict) else {}


def _text_of(content: Any) -> str:
    """Return the text of a message's content: the text that it is, or the texts of a list of parts, joined.

    Empty for anything else.
    """
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type", "text") == "text"]
    return "".join(text for text in texts if isinstance(text, str))
