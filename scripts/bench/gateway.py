"""PERF-10: what the gateway adds to a call, against a direct connection and LiteLLM's proxy, all in turn in one run."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from scripts.bench.gateway_place import Clients, Target, gateway, litellm, model_server, open_clients
from scripts.bench.record import Figure
from scripts.bench.wire import quantile

RUNS = 5
STREAMS = 32
SPACING_S = 0.005
PROMPT_BYTES = 400_000
PACED_TOKENS, INSTANT_TOKENS = 80, 10
_SETTLE_S = 2.0
"""How long LiteLLM's proxy may go on to work after its turn, before the others have theirs."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is asked for in one run.

    Attributes:
        turns: Requests one after the other.
        long_turns: The same with a prompt of 400 KB.
        paced: Rounds of 32 streams of 80 tokens/s.
        instant: Rounds of 32 streams that begin at one instant.
        flat: Rounds of 32 streams that a server sends as fast as it can.
        flat_tokens: Tokens of each of these.
    """

    turns: int
    long_turns: int
    paced: int
    instant: int
    flat: int
    flat_tokens: int


USUAL = Effort(turns=200, long_turns=30, paced=4, instant=6, flat=2, flat_tokens=400)
SLOW = Effort(turns=50, long_turns=10, paced=1, instant=2, flat=1, flat_tokens=40)
"""For LiteLLM's proxy, which needs about 100 times as long for a token."""

Samples = dict[str, list[float]]

_WORDS = {
    "turn": ("first token, one request after the other, p50", "ms"),
    "long": ("first token after a prompt of 400 KB, one after the other, p50", "ms"),
    "paced_p50": ("first token, 32 streams of 80 tokens/s that begin 5 ms apart, p50", "ms"),
    "paced_p99": ("first token, 32 streams of 80 tokens/s that begin 5 ms apart, p99", "ms"),
    "paced_rate": ("32 streams of 80 tokens/s that begin 5 ms apart, together", "tokens/s"),
    "gap_p99": ("change of the gap between two tokens on their way, 32 streams of 80 tokens/s, p99", "ms"),
    "instant_p50": ("first token, 32 streams that begin at one instant, p50", "ms"),
    "instant_p99": ("first token, 32 streams that begin at one instant, p99", "ms"),
    "flat_rate": ("32 streams that a server sends as fast as it can, together", "tokens/s"),
}
_ADDED = ("turn", "long", "paced_p50", "paced_p99", "gap_p99", "instant_p50", "instant_p99")
"""What is shown as a difference to the direct connection."""
_SHARES = ("paced_rate", "flat_rate")
"""What is shown as a part of the direct connection's."""


def run_gateway() -> list[Figure]:
    """Five runs of everything, direct, gateway and LiteLLM in turn; without LiteLLM, its rows are left out."""
    samples: Samples = {}
    with ExitStack() as stack:
        direct = stack.enter_context(model_server())
        ours = stack.enter_context(gateway(direct))
        proxy = stack.enter_context(litellm(direct))
        clients = stack.enter_context(open_clients())
        for number in range(RUNS):
            figures = measure(clients, [direct, ours], USUAL)
            if proxy is not None:
                figures |= measure(clients, [proxy], SLOW)
                time.sleep(_SETTLE_S)
            for name, value in {**figures, **compared(figures)}.items():
                samples.setdefault(name, []).append(round(value, 3))
            sys.stdout.write(f"run {number + 1} of {RUNS}\n")
            sys.stdout.flush()
    words = {target.name: target.words for target in (direct, ours, proxy) if target is not None}
    kinds = [f"{measure}{kind}" for measure in _WORDS for kind in ("", "_added", "_share")]
    names = [f"{target}_{kind}" for kind in kinds for target in words if f"{target}_{kind}" in samples]
    return [_figure(name, tuple(samples[name]), words) for name in names]


def measure(clients: Clients, targets: list[Target], effort: Effort) -> dict[str, float]:
    """One run of everything, each request or round through every target in turn.

    Returns:
        `TARGET_MEASURE` -> value, with the measures and units of `_WORDS`.
    """
    turns = clients.turns(targets, _body("paced", 1), effort.turns)
    long = clients.turns(targets, _body("paced", 1, PROMPT_BYTES), effort.long_turns)
    paced = _rounds(clients, targets, _body("paced", PACED_TOKENS), effort.paced, SPACING_S)
    instant = _rounds(clients, targets, _body("paced", INSTANT_TOKENS), effort.instant)
    flat = _rounds(clients, targets, _body("flat", effort.flat_tokens), effort.flat)
    figures: dict[str, float] = {}
    for name in turns:
        figures[f"{name}_turn"] = quantile(turns[name], 0.5)
        figures[f"{name}_long"] = quantile(long[name], 0.5)
        for share in (50, 99):
            figures[f"{name}_paced_p{share}"] = quantile(paced[name]["first_ms"], share / 100)
            figures[f"{name}_instant_p{share}"] = quantile(instant[name]["first_ms"], share / 100)
        figures[f"{name}_paced_rate"] = quantile(paced[name]["tokens_per_s"], 0.5)
        figures[f"{name}_gap_p99"] = quantile(paced[name]["gaps_ms"], 0.99)
        figures[f"{name}_flat_rate"] = quantile(flat[name]["tokens_per_s"], 0.5)
    return figures


def _rounds(
    clients: Clients, targets: list[Target], body: dict[str, Any], rounds: int, spacing_s: float = 0.0
) -> dict[str, Samples]:
    """Several rounds of streams, each round through every target in turn; all samples of a target together."""
    samples: dict[str, Samples] = {target.name: {} for target in targets}
    for _ in range(rounds):
        for target in targets:
            for name, value in clients.together(target, body, STREAMS, spacing_s).items():
                samples[target.name].setdefault(name, []).extend(value if isinstance(value, list) else [value])
    return samples


def compared(figures: dict[str, float]) -> dict[str, float]:
    """Set what one run measured through a proxy against its direct connection: `TARGET_MEASURE_added` or `_share`."""
    compared: dict[str, float] = {}
    for name in ("gateway", "litellm"):
        for measure in _ADDED if f"{name}_turn" in figures else ():
            compared[f"{name}_{measure}_added"] = figures[f"{name}_{measure}"] - figures[f"direct_{measure}"]
        for measure in _SHARES if f"{name}_turn" in figures else ():
            compared[f"{name}_{measure}_share"] = 100 * figures[f"{name}_{measure}"] / figures[f"direct_{measure}"]
    return compared


def _figure(name: str, samples: tuple[float, ...], words: dict[str, str]) -> Figure:
    target, _, measure = name.partition("_")
    if measure in _WORDS:
        what, unit = _WORDS[measure]
        return Figure(name, f"{what}: {words[target]}", unit, samples)
    measure, _, kind = measure.rpartition("_")
    what, unit = _WORDS[measure]
    if kind == "added":
        return Figure(name, f"{what}: added {words[target]}", unit, samples)
    return Figure(name, f"{what}: {words[target]}, part of direct", "%", samples)


def _body(model: str, tokens: int, prompt_bytes: int = 2_000) -> dict[str, Any]:
    """A request as an agent sends it: a conversation of files and results, with tools."""
    line = '    def method(self, name: str = "x\\n") -> dict[str, int]:\n        return {name: len(name)}\n\n'
    result = line * max(1, min(4_000, prompt_bytes // 2) // len(line))
    roles = ("user", "assistant")
    count = max(1, prompt_bytes // len(result))
    messages = [{"role": roles[at % 2], "content": f"{at}\n{result}"} for at in range(count)]
    return {"model": model, "max_tokens": tokens, "messages": messages, "temperature": 0.2}
