"""Anthropic's Messages API at the scripted server, for Claude Code.

Sources: https://docs.claude.com/en/api/messages and /en/api/messages-streaming; vLLM 0.32 for what it accepts beside
them: messages of the role `system`, which Claude Code 2.1.332 sends in the middle of a conversation.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator

from aegis_tui.testing.scripted_generation import Generation
from aegis_tui.testing.scripted_http import HttpRequest
from aegis_tui.testing.scripted_request import (
    ChatError,
    OfferedTool,
    Result,
    ScriptedConversation,
    ScriptedRequest,
    check_body,
    dump_json,
    event_bytes,
    parse_arguments,
    parse_object,
)

COUNT_PATH = "/v1/messages/count_tokens"
_Blocks = Sequence[Mapping[str, Any]]
_STOP_REASONS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}
_ERROR_TYPES = {401: "authentication_error", 404: "not_found_error"}
_ROLES = {"ctx": "user", "msg": "user"}
"""Names that some versions of Claude Code give to messages of the user; vLLM takes them as such too."""


class _Message(BaseModel):
    role: Literal["user", "assistant", "system"]
    content: str | list[dict[str, Any]]

    @field_validator("role", mode="before")
    @classmethod
    def _usual_role(cls, value: object) -> object:
        return _ROLES.get(value, value) if isinstance(value, str) else value


class _MessagesTool(BaseModel):
    name: str = Field(min_length=1)
    input_schema: dict[str, Any] | None = None
    """None for a tool of the API's own, such as its web search, which the client does not run."""


class _ToolChoice(BaseModel):
    type: str = "auto"


class _CountBody(BaseModel):
    model: str | None = None
    messages: list[_Message] = Field(min_length=1)
    system: str | list[dict[str, Any]] | None = None
    tools: list[_MessagesTool] | None = None
    tool_choice: _ToolChoice | None = None


class _MessagesBody(_CountBody):
    max_tokens: int = Field(ge=1)
    stream: bool = False


class MessagesDialect:
    """POST /v1/messages and /v1/messages/count_tokens; the query, such as ``beta=true``, has no effect."""

    name = "messages"

    def parse(self, request: HttpRequest) -> ScriptedRequest:
        """Check a request and return it; thinking, images, cache marks and unknown blocks are left out.

        Raises:
            ChatError: It is not JSON, or a field is not valid; the message names the field.
        """
        raw = parse_object(request.body)
        if request.path == COUNT_PATH:
            return _chat_request(raw, check_body(_CountBody, raw))
        body = check_body(_MessagesBody, raw)
        return _chat_request(raw, body, stream=body.stream, max_tokens=body.max_tokens)

    def error(self, error: ChatError) -> dict[str, Any]:
        """Return the JSON body of a refusal in Anthropic's form: `error` with `type` and `message`."""
        kind = _ERROR_TYPES.get(error.status, "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": str(error)}}

    async def whole(self, generation: Generation) -> dict[str, Any]:
        """Run the generation and return its reply as one object; the input of a call that was cut off is empty.

        Call it once for a generation.
        """
        said = await generation.whole()
        content: list[dict[str, Any]] = [{"type": "text", "text": said.text}] if said.text else []
        content += [
            {**_block(generation, index), "input": parse_arguments(arguments)}
            for index, arguments in enumerate(said.arguments)
        ]
        return {
            **_message(generation),
            "content": content,
            "stop_reason": _STOP_REASONS[generation.end],
            "usage": _usage(generation),
        }

    async def stream(self, generation: Generation) -> AsyncGenerator[bytes, None]:
        """Run the generation and yield its reply as server-sent events, at its pace.

        There is a block for the text and one for each call. Use `whole` or `stream` of a generation, and only once.
        """
        index = -1
        async with generation.running():
            yield _event("message_start", message=_message(generation))
            yield _event("ping")
            async for piece in generation.pieces():
                if piece.opens:
                    if index >= 0:
                        yield _event("content_block_stop", index=index)
                    index += 1
                    yield _event("content_block_start", index=index, content_block=_block(generation, piece.call))
                if piece.text:
                    yield _event("content_block_delta", index=index, delta=_delta(piece.text, piece.call))
            if index >= 0:
                yield _event("content_block_stop", index=index)
            delta = {"stop_reason": _STOP_REASONS[generation.end], "stop_sequence": None}
            yield _event("message_delta", delta=delta, usage=_usage(generation))
        yield _event("message_stop")


def render_count(tokens: int) -> dict[str, Any]:
    """Return the JSON reply to a request that counts tokens: `input_tokens`."""
    return {"input_tokens": tokens}


def _chat_request(
    raw: dict[str, Any], body: _CountBody, *, stream: bool = False, max_tokens: int | None = None
) -> ScriptedRequest:
    chat = ScriptedConversation()
    chat.hear("system", _texts(body.system or ""))
    for message in body.messages:
        if message.role == "assistant":
            _add_turn(chat, message.content)
        else:
            chat.hear(message.role, _heard(message.content))
    is_free = body.tool_choice is None or body.tool_choice.type != "none"
    tools = [tool for tool in body.tools or [] if tool.input_schema is not None and is_free]
    return ScriptedRequest(
        chat.messages,
        tools=raw.get("tools"),
        offered=tuple(OfferedTool(tool.name, tool.input_schema or {}) for tool in tools),
        model=body.model,
        stream=stream,
        max_tokens=max_tokens,
    )


def _add_turn(chat: ScriptedConversation, content: str | _Blocks) -> None:
    chat.say(_texts(content))
    for block in () if isinstance(content, str) else content:
        if block.get("type") == "tool_use":
            arguments = dump_json(block.get("input") or {})
            chat.call(str(block.get("id")), str(block.get("name")), arguments)


def _heard(content: str | _Blocks) -> Iterator[str | Result]:
    for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        if block.get("type") == "tool_result":
            yield Result(str(block.get("tool_use_id")), "".join(_texts(block.get("content") or "")))
        else:
            yield from _texts([block])


def _texts(content: str | _Blocks) -> list[str]:
    if isinstance(content, str):
        return [content] if content else []
    return [str(block.get("text") or "") for block in content if block.get("type") == "text"]


def _message(generation: Generation) -> dict[str, Any]:
    return {
        "id": f"msg_scripted_{generation.number}",
        "type": "message",
        "role": "assistant",
        "model": generation.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(generation),
    }


def _block(generation: Generation, call: int | None) -> dict[str, Any]:
    """Return a content block without its content: of the text for None, else of the call with this index."""
    if call is None:
        return {"type": "text", "text": ""}
    name = generation.calls[call].flat_name
    return {"type": "tool_use", "id": generation.call_id(call), "name": name, "input": {}}


def _delta(text: str, call: int | None) -> dict[str, Any]:
    if call is None:
        return {"type": "text_delta", "text": text}
    return {"type": "input_json_delta", "partial_json": text}


def _usage(generation: Generation) -> dict[str, Any]:
    """Return the tokens so far; unlike in the other dialects, `input_tokens` are those that were not cached."""
    return {
        "input_tokens": generation.prompt_tokens - generation.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": generation.cached_tokens,
        "output_tokens": generation.said_tokens,
    }


def _event(kind: str, **fields: Any) -> bytes:
    return event_bytes({"type": kind, **fields}, kind)
