"""`aegis-tui vllm`: start, stop and inspect a vLLM server on this machine (LLM-1, contract 9)."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.vllm_logs import logs
from aegis_tui.cli.vllm_plan import plan, setup
from aegis_tui.config import load_settings
from aegis_tui.domain.wire.machine import (
    CardFields,
    CommandOutput,
    ServerOutput,
    StartedServerOutput,
    StoppedServerOutput,
)
from aegis_tui.errors import ModelUnavailable, UsageError

if TYPE_CHECKING:
    from aegis_tui.ports.local_server import LocalServer

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Start, stop and inspect a vLLM server on this machine."
)

DEFAULT_PORT = 8001
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command(context_settings={"allow_extra_args": True})
def start(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(help="A name or a folder; when left out, AEGIS_MODEL or else Qwen/Qwen3-Coder-Next-FP8."),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port on 127.0.0.1.")] = DEFAULT_PORT,
    wait_s: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until the server answers.")] = 600.0,
    tool_parser: Annotated[
        str | None,
        typer.Option(
            "--tool-parser", metavar="NAME", help="vLLM's tool call parser; by default chosen by the model's name."
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--print", help="Print the command instead of running it.")] = False,
    as_json: AsJson = False,
) -> int:
    """Serve a model with the options that agents need: tool calls, priorities, metrics of the prefix cache.

    No usage statistics are sent. Options after -- are passed to vLLM: aegis-tui vllm start MODEL --
    --tensor-parallel-size 2

    If a server is already running, it is left as it is, whatever its model and port. Exit code 0 also if the server is
    still loading after --wait seconds; 5 if it exits while starting, 2 if a setting is wrong, if two models are given,
    or if no tool call parser is known for the model.
    """
    options = list(context.args)
    if model is not None and model.startswith("-"):
        options, model = [model, *options], None
    if options and not options[0].startswith("-"):
        raise UsageError(f"two models are given: {model} and {options[0]}", "put options for vLLM after --")
    server = _server({"AEGIS_TOOL_PARSER": tool_parser} if tool_parser else {})
    if show:
        words = server.command(model, port, options)
        output.result(CommandOutput(command=words), as_json=as_json, lines=[shlex.join(words)])
        return 0
    record = asyncio.run(server.start(model, port, wait_s=wait_s, options=options))
    fields = asyncio.run(_look(record.url))
    state = "is ready" if fields["endpoints"][0]["healthy"] else "is still loading; see aegis-tui vllm logs --follow"
    started: StartedServerOutput = {"pid": record.pid, **fields}
    output.result(started, as_json=as_json, lines=[f"{record.model} at {record.url} {state}"])
    return 0


@app.command()
def stop(as_json: AsJson = False) -> int:
    """Stop the server that `vllm start` started. Exit code 0 also if there is none.

    Waits until the server and the processes that it started have ended, at most 25 s; what has not ended by then is
    killed.
    """
    ended = asyncio.run(_server().stop())
    words = f"{ended.model} at {ended.url} was stopped" if ended else "no vLLM server was started here"
    output.result(StoppedServerOutput(stopped=ended is not None), as_json=as_json, lines=[words])
    return 0


@app.command()
def status(
    base_url: Annotated[str | None, typer.Option("--base-url", help="Another server, with or without /v1.")] = None,
    as_json: AsJson = False,
) -> int:
    """Show which model a server serves and how busy it is. Exit code 5 if it does not answer.

    The server is that of --base-url, or else the one that `vllm start` started, or else that of your settings. Exit
    code 2 if the URL or a setting is wrong, 3 if the URL is outside the private network.
    """
    from aegis_tui.bootstrap.model_server import cards

    record = _server().find()
    url = base_url or (record.url if record else load_settings(os.environ).base_url)
    is_here = record is not None and url == record.url
    fields = asyncio.run(_look(url))
    endpoint, metrics = fields["endpoints"][0], fields["metrics"]
    if not endpoint["healthy"] and record is not None and is_here:
        what = f"{record.model} at {url} does not answer yet: its process is running, so it is probably still loading"
        raise ModelUnavailable(what, "aegis-tui vllm logs --follow")
    if not endpoint["healthy"]:
        raise ModelUnavailable(f"no model server answers at {url}", "start one: aegis-tui vllm start MODEL")
    lines = [f"{endpoint['model']} at {endpoint['url']}"]
    lines += [f"  {name} {_round(value)}" for name, value in metrics.items() if isinstance(value, int | float)]
    if is_here and (present := cards()):
        fields["cards"] = present
        lines += [f"  {_card_words(card)}" for card in present]
    output.result(fields, as_json=as_json, lines=lines)
    return 0


def _server(variables: Mapping[str, str] = MappingProxyType({})) -> LocalServer:
    from aegis_tui.bootstrap.model_server import local_server

    return local_server({**os.environ, **variables})


async def _look(base_url: str) -> ServerOutput:
    from aegis_tui.bootstrap.model_server import look_at

    return await look_at(base_url)


def _card_words(card: CardFields) -> str:
    used = f"{card['used_mib']:,} of " if card["used_mib"] is not None else ""
    busy = f", {card['busy_percent']}% busy" if card["busy_percent"] is not None else ""
    return f"{card['name']}: {used}{card['memory_mib']:,} MiB{busy}"


def _round(value: float) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


app.command()(logs)
app.command()(plan)
app.command()(setup)
