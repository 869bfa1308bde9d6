"""`aegis-tui gateway`: the servers behind the model gateway, and what agents asked of them (contract 9, LLM-10)."""

from __future__ import annotations

from typing import Annotated, TypeVar, cast
from urllib.parse import urlencode

import typer

from aegis_tui.cli import output
from aegis_tui.cli.gateway_log import log, replay
from aegis_tui.cli.place import here
from aegis_tui.domain.ids import instance_id
from aegis_tui.domain.inert import one_line
from aegis_tui.domain.wire.gateway import (
    EndpointFields,
    GatewayOutput,
    HealthAnswer,
    MetersAnswer,
    PartingFields,
    PrefixesAnswer,
    UsageAnswer,
    UsageFields,
)
from aegis_tui.errors import HubUnavailable, Unavailable, UsageError
from aegis_tui.sdk.gateway import ask_gateway

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Show the model servers, how much each agent uses them, and the log of model calls.",
)

T = TypeVar("T")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command()
def status(as_json: AsJson = False) -> int:
    """Show each model server with its load, and the calls and tokens of each agent.

    Exit code 5 if no hub is running for this repository, or its gateway does not answer.
    """
    health, meters = _ask(HealthAnswer, "/healthz"), _ask(MetersAnswer, "/v1/meters")
    by_url = {item["url"]: item["metrics"] for item in meters["endpoints"]}
    endpoints = [EndpointFields(**item, metrics=by_url.get(item["url"], {})) for item in health["endpoints"]]
    agents = _ask(UsageAnswer, "/v1/usage")["agents"]
    lines = [line for item in endpoints for line in _endpoint_lines(item)] or ["no model server is configured"]
    for name, usage in agents.items():
        words = f"{usage['requests']} calls, {usage['prompt_tokens']:,} prompt tokens ({_share(usage)} cached)"
        lines.append(f"{name}: {words}, {usage['completion_tokens']:,} generated")
    fields = GatewayOutput(endpoints=endpoints, metrics=meters["metrics"], agents=agents)
    output.result(fields, as_json=as_json, lines=lines)
    return 0


@app.command()
def prefixes(
    one: Annotated[str | None, typer.Argument(metavar="ID", help="Compare only two agents: this one ...")] = None,
    two: Annotated[str | None, typer.Argument(metavar="ID", help="... and this one.")] = None,
    as_json: AsJson = False,
) -> int:
    """Show how much the last prompts of agents have in common, where they begin to differ, and why.

    A model server with a prefix cache computes only what follows that place. Without ids, all agents are listed,
    similar ones next to each other, and each is compared with the one before it. The gateway knows only the prompts
    that were sent since it started.

    Exit code 2 if an id is not known to the gateway, 5 if no hub is running or its gateway does not answer.
    """
    if one is not None and two is None:
        raise UsageError("name two agents, or none", "aegis-tui gateway prefixes w01 w02")
    seen = _ask(PrefixesAnswer, "/v1/prefixes")
    if one is not None and two is not None:
        names = [_known(name, seen) for name in (one, two)]
        seen = _ask(PrefixesAnswer, f"/v1/prefixes?{urlencode({'a': names[0], 'b': names[1]})}")
    lines = [one_line(line) for item in seen["prefixes"] for line in _parting_lines(item)]
    lines += [
        one_line(
            f"{item['agent_id']}: {item['rewritten']} changed between two calls, "
            "so the server cannot reuse its cache from there on"
        )
        for item in seen["prompts"]
        if item["rewritten"]
    ]
    output.result(
        seen, as_json=as_json, lines=lines or ["fewer than two agents have called a model since the gateway started"]
    )
    return 0


def _ask(kind: type[T], target: str) -> T:
    """Return the gateway's answer to a GET request of the person, as `kind`, which is not checked.

    Raises:
        HubUnavailable: No hub is running for this repository, or it does not answer.
        Unavailable: Its gateway does not answer.
    """
    place = here()
    address = place.find()
    if address is None:
        raise HubUnavailable("no hub is running for this repository", "start it: aegis-tui hub start")
    answer = ask_gateway(place.paths, address.token, target)
    if answer is None:
        raise Unavailable("the model gateway does not answer", "aegis-tui hub status", code="gateway.unavailable")
    return cast(T, answer)


def _known(name: str, seen: PrefixesAnswer) -> str:
    """Return the full agent id that a name stands for, in full or in short; of several the first.

    Args:
        name: Such as `NATIVE-w01` or `w01`.
        seen: The gateway's answer, with the agents whose prompts it knows.

    Raises:
        UsageError: The gateway has seen no prompt of it.
    """
    names = [item["agent_id"] for item in seen["prompts"]]
    matching = [known for known in names if name in (known, instance_id(known))]
    if not matching:
        raise UsageError(
            f"the gateway has seen no prompt from {name} since it started", f"it knows: {', '.join(names) or 'none'}"
        )
    return matching[0]


def _endpoint_lines(item: EndpointFields) -> list[str]:
    state = "answers" if item["healthy"] else "DOES NOT ANSWER"
    metrics = [f"  {_meter(name, value)}" for name, value in item["metrics"].items() if isinstance(value, int | float)]
    return [f"{item['url']}: {item['model'] or 'no model'}, {state}", *metrics]


def _meter(name: str, value: float) -> str:
    if name in ("kv_cache", "prefix_hit_rate"):
        return f"{name} {value:.1%}"
    return f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"


def _share(usage: UsageFields) -> str:
    return f"{usage['cached_tokens'] / usage['prompt_tokens']:.0%}" if usage["prompt_tokens"] else "0%"


def _parting_lines(item: PartingFields) -> list[str]:
    whole = min(item["a_chars"], item["b_chars"]) or 1
    head = f"{item['a']} and {item['b']} share {item['shared_chars']:,} characters, {item['shared_chars'] / whole:.0%}"
    where = f" of the shorter prompt; in {item['part']} from character {item['at']:,}" if item["part"] else ""
    lines = [f"{head}{where}: {item['reason']}"]
    for name, piece in ((item["a"], item["a_piece"]), (item["b"], item["b_piece"])):
        if piece and item["part"]:
            lines.append(f"  {name}: …{' '.join(piece.split())}…")
    return lines


app.command()(log)
app.command()(replay)
