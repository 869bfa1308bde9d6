"""`aegis-tui gateway log` and `gateway replay`: what agents asked of models, and what is answered today (LLM-8)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.domain.endpoint import normalise_base_url
from aegis_tui.domain.ids import instance_id
from aegis_tui.domain.wire.gateway import (
    AnswerFields,
    CallFields,
    CallLogOutput,
    CallReplayOutput,
    ReplayedFields,
)
from aegis_tui.errors import UsageError

if TYPE_CHECKING:
    from aegis_tui.gateway.dialect import Dialect
    from aegis_tui.gateway.text_files import CallTexts

_FIGURES = ("prompt", "cached", "answer", "first byte", "end")
_HEAD = ("id", "at", "agent", "model", *_FIGURES, "status")
Number = Annotated[int, typer.Argument(metavar="CALL", min=1, help="The id of a call, as `gateway log` prints it.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


def log(
    call: Annotated[
        int | None, typer.Argument(metavar="CALL", min=1, help="Show only this call, with its request and answer.")
    ] = None,
    agent: Annotated[str | None, typer.Option("--agent", metavar="ID", help="Only calls of this agent.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only calls that ended with an error.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many of the newest calls to list.")] = 20,
    as_json: AsJson = False,
) -> int:
    """List the newest model calls of this repository, or show the request and the answer of one.

    For each call the list shows the agent, the model, the tokens of the prompt, how many of these the model server had
    in its cache, the tokens of the answer, the seconds to the first byte and to the end, and how the call ended. The
    newest call comes last.

    Requests and answers are stored as far as the setting model_log.kept_mb allows. No hub is needed or started.

    Exit code 2 if there is no such call, 5 outside a repository.
    """
    if call is None:
        calls = _newest(agent, limit, only_failed=failed)
        rows = [_HEAD, *map(_row, calls)]
        lines = output.table(rows) if calls else ["there are no model calls to list"]
        output.result(CallLogOutput(calls=calls), as_json=as_json, lines=lines)
        return 0
    logged, texts = _find(call)
    fields = CallLogOutput(calls=[logged])
    lines = list(output.table([_HEAD, _row(logged)]))
    if texts is None:
        lines.append(_why_not(logged))
    else:
        from aegis_tui.gateway.answer_text import read_answer
        from aegis_tui.gateway.replay import dialect_of_target

        dialect = dialect_of_target(str(texts.head.get("target")))
        said = read_answer(dialect, texts.answer)
        request, answer = (text.decode("utf-8", "replace") for text in (texts.request, texts.answer))
        fields = CallLogOutput(calls=[logged], request=request, answer=answer, said=said)
        lines += ["", *_asked(dialect, request), "", "answer:", *_said(said)]
    output.result(fields, as_json=as_json, lines=lines)
    return 0


def replay(
    call: Number,
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", help="The model server, with or without /v1; by default that of your settings."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Another model.")] = None,
    as_json: AsJson = False,
) -> int:
    """Send the request of a logged call again, and compare the answer with that of the call.

    The request goes straight to the model server, not through the gateway, and does not count against any agent's
    budget. The answers can differ even with the same server and model, because most models choose words at random
    unless the request sets the temperature to 0. Tool calls in the answer are not carried out.

    Exit code 1 if the server answers with an error, 2 if there is no such call or its request was not stored, 3 if the
    server is outside the private network, 5 if it does not answer.
    """
    logged, texts = _find(call)
    if texts is None:
        raise UsageError(_why_not(logged), "aegis-tui gateway log")
    from aegis_tui.gateway.answer_text import first_difference, read_answer
    from aegis_tui.gateway.replay import dialect_of_target

    url, key = _server(base_url)
    then = read_answer(dialect_of_target(str(texts.head.get("target"))), texts.answer)
    now = asyncio.run(_replay(logged, texts, url, model, key))
    differs_at = first_difference(then["text"], now["said"]["text"])
    is_same = differs_at is None and then["tool_calls"] == now["said"]["tool_calls"]
    fields = CallReplayOutput(call=logged, said=then, replay=now, same=is_same, differs_at=differs_at)
    output.result(fields, as_json=as_json, lines=_compared(fields))
    return 1 if now["status"] >= 400 else 0


async def _replay(
    logged: CallFields, texts: CallTexts, base_url: str, model: str | None, key: str | None
) -> ReplayedFields:
    from aegis_tui.gateway.replay import replay as send

    return await send(logged, texts, base_url=base_url, model=model, key=key)


def _server(base_url: str | None) -> tuple[str, str | None]:
    """Return the model server that the person names, or else that of the settings, and its key, None if there is none.

    The address is in its normal form, ending in `/v1`.

    Raises:
        UsageError: The address or a setting is wrong, or the key file cannot be used.
    """
    from aegis_tui.bootstrap.model_server import model_key
    from aegis_tui.config import load_settings

    url = normalise_base_url(base_url or load_settings(os.environ).base_url)
    return url, model_key(os.environ) or None


def _newest(agent: str | None, limit: int, *, only_failed: bool) -> list[CallFields]:
    from aegis_tui.gateway.call_list import CallList

    def is_wanted(call: CallFields) -> bool:
        names = (call["agent_id"], instance_id(call["agent_id"]))
        return (agent is None or agent in names) and (call["error"] is not None or not only_failed)

    return CallList(here().paths.state_dir / "logs").newest(limit, is_wanted)


def _find(number: int) -> tuple[CallFields, CallTexts | None]:
    from aegis_tui.gateway.call_list import CallList

    logged = CallList(here().paths.state_dir / "logs").find(number)
    if logged is None:
        raise UsageError(f"there is no call {number} in the list", "aegis-tui gateway log")
    return logged


def _why_not(call: CallFields) -> str:
    if call["kept"]:
        return f"request and answer of call {call['id']} were deleted, to make room for newer ones"
    return f"request and answer of call {call['id']} were not stored: see model_log.kept_mb in aegis-tui config list"


def _row(call: CallFields) -> list[str]:
    at = datetime.fromisoformat(call["at"]).astimezone()
    status = call["error"] or str(call["status"])
    return [str(call["id"] or ""), f"{at:%m-%d %H:%M:%S}", call["agent_id"], call["model"], *_figures(call), status]


def _figures(call: CallFields | ReplayedFields) -> list[str]:
    """Return the tokens of prompt, cache and answer, and the times to the first byte and to the end, for a table."""
    first = "" if call["ttft_s"] is None else f"{call['ttft_s']:.2f} s"
    tokens = [call["prompt_tokens"], call["cached_tokens"], call["completion_tokens"]]
    return [*(f"{number:,}" for number in tokens), first, f"{call['latency_s']:.2f} s"]


def _asked(dialect: Dialect, request: str) -> Iterator[str]:
    """Yield lines that show a request: its fields but the prompt on one line, then each part of the prompt.

    A part is indented below its name. A request that is not a JSON object is yielded as it is.
    """
    from aegis_tui.gateway.sketch import PROMPT_FIELDS, texts_of
    from aegis_tui.gateway.usage import parse_json

    fields = parse_json(request.encode())
    if not isinstance(fields, dict):
        yield request
        return
    yield "request: " + output.json_text({name: value for name, value in fields.items() if name not in PROMPT_FIELDS})
    for name, text in texts_of(dialect, fields):
        yield f"{name}:"
        yield from (f"  {line}" for line in text.splitlines())


def _said(said: AnswerFields) -> Iterator[str]:
    if said["text"]:
        yield said["text"]
    for call in said["tool_calls"]:
        yield f"{call['name']} {call['arguments']}"
    yield f"({said['finish'] or 'the server gave no finish reason'})"


def _compared(fields: CallReplayOutput) -> list[str]:
    call, now = fields["call"], fields["replay"]
    rows = [["", "server", "model", *_FIGURES, "status"]]
    for name, item in (("then", call), ("now", now)):
        rows.append([name, item["endpoint"], item["model"], *_figures(item), str(item["status"])])
    lines = output.table(rows)
    if fields["same"]:
        return [*lines, "", "the answers are equal:", *_said(now["said"])]
    at = fields["differs_at"]
    where = "the tool calls differ" if at is None else f"the texts differ from character {at + 1} on"
    return [*lines, "", f"{where}; then:", *_said(fields["said"]), "", "now:", *_said(now["said"])]
