"""Sends a logged request again, to a model server that the person names (LLM-8)."""

from __future__ import annotations

import time

from aegis_tui.domain.endpoint import root_url
from aegis_tui.domain.wire.gateway import CallFields, ReplayedFields
from aegis_tui.errors import UsageError
from aegis_tui.gateway.answer_text import read_answer
from aegis_tui.gateway.body import parse_fields, prepare_body
from aegis_tui.gateway.dialect import RELAYED, Dialect
from aegis_tui.gateway.rejected import Rejected
from aegis_tui.gateway.text_files import CallTexts
from aegis_tui.gateway.upstream import Headers, Upstream
from aegis_tui.gateway.usage import StreamTap, TokenUsage, parse_json

_HEADERS: Headers = ((b"Content-Type", b"application/json"), (b"Accept-Encoding", b"identity"))
_VERSION: Headers = ((b"anthropic-version", b"2023-06-01"),)


def dialect_of_target(target: str) -> Dialect:
    """Return the API that a path at a model server, with or without a query, belongs to; `chat` if to none."""
    return RELAYED.get(target.partition("?")[0], "chat")


async def replay(
    call: CallFields, texts: CallTexts, *, base_url: str, model: str | None, key: str | None
) -> ReplayedFields:
    """Send a call's request again; return the answer, whatever its status, with its counts and times.

    The workspace's salt is not sent, so the server's prefix cache may hold less of the prompt than it did then.

    Args:
        call: The call.
        texts: What was stored of it.
        base_url: The model server, in normalised form.
        model: Replaces the call's model; None to ask the same one.
        key: The server's key; None if it needs none.

    Raises:
        ModelUnavailable: The server does not answer, or its answer breaks off.
        ModelMalformed: The answer's encoding is unknown or invalid.
        Refused: The server lies outside the allowed network.
        UsageError: The stored request is no JSON object, or nested too deeply.
    """
    target, asked = str(texts.head.get("target", "")), model or call["model"]
    dialect = dialect_of_target(target)
    headers = [*_HEADERS, *(_VERSION if dialect == "messages" else ())]
    if key is not None:
        headers.append((b"Authorization", f"Bearer {key}".encode()))
    usage, parts, first_s = TokenUsage(), list[bytes](), None
    tap, upstream, begun_s = StreamTap(usage), Upstream(), time.monotonic()
    body, url = _body(call, texts.request, dialect, asked), root_url(base_url) + target
    try:
        async with upstream.open("POST", base_url, url, headers=headers, body=body) as answer:
            async for part in answer.chunks():
                first_s = time.monotonic() - begun_s if first_s is None else first_s
                parts.append(part)
                tap.feed(part)
    finally:
        upstream.close()
    tap.end()
    said = b"".join(parts)
    usage.note(parse_json(said))
    return {
        "endpoint": base_url,
        "model": asked,
        "status": answer.status,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
        "ttft_s": None if first_s is None else round(first_s, 5),
        "latency_s": round(time.monotonic() - begun_s, 5),
        "said": read_answer(dialect, said),
    }


def _body(call: CallFields, request: bytes, dialect: Dialect, model: str) -> bytes:
    try:
        fields = parse_fields(request)
        added = {"model": model} if fields.get("model") != model else {}
        return prepare_body(request, fields, dialect=dialect, model=None, added=added).body
    except (Rejected, RecursionError) as error:  # for example a key of one digit, replaced in a number
        what = f"the request of call {call['id']} cannot be sent again: what was stored is not a JSON object"
        raise UsageError(what, f"show it: aegis-tui gateway log {call['id']}") from error
