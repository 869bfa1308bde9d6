"""Metrics of a vLLM engine, read from its Prometheus text, and the rates between two readings.

Names differ between versions of vLLM: a missing metric is None or 0, never an error. Values are summed over engines.
Source: Prometheus text format 0.0.4; vLLM 0.32 `/metrics`.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from aegis_tui.domain.wire.gateway import ModelMetrics

_SAMPLE = re.compile(r"^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{.*\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?$")

_RUNNING = ("vllm:num_requests_running",)
_WAITING = ("vllm:num_requests_waiting",)
_KV_CACHE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
_PREFIX_QUERIES = ("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total")
_PREFIX_HITS = ("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total")
_GENERATED = ("vllm:generation_tokens_total",)
_TTFT_SUM = ("vllm:time_to_first_token_seconds_sum",)
_TTFT_COUNT = ("vllm:time_to_first_token_seconds_count",)


class EngineMeters(NamedTuple):
    """One reading of the metrics. Counters count from the start of the engine."""

    running: int = 0
    """Requests being worked on."""
    waiting: int = 0
    """Requests in the queue."""
    kv_cache: float | None = None
    """Filled part of the KV cache, 0 to 1, mean over engines; None when the server does not report it."""
    prefix_queries: float = 0.0
    """Prompt tokens looked up in the prefix cache."""
    prefix_hits: float = 0.0
    """How many of these tokens were found there."""
    generation_tokens_total: float = 0.0
    """Tokens generated."""
    ttft_sum: float = 0.0
    """Seconds to the first token, summed over requests."""
    ttft_count: float = 0.0
    """How many requests are in that sum."""


class EngineRates(NamedTuple):
    """Rates between two readings; a rate that cannot be computed is None."""

    tokens_per_s: float | None = None
    """Tokens generated per second."""
    prefix_hit_rate: float | None = None
    """Part of the prompt tokens found in the prefix cache, 0 to 1; since engine start when none were looked up."""
    ttft_s: float | None = None
    """Mean seconds to the first token; since engine start when no request began."""


def metrics_of(reading: EngineMeters, moving: EngineRates) -> ModelMetrics:
    """Return a reading, and the rates since an earlier one, as a JSON object (contract 9).

    It has `running`, `waiting`, `kv_cache`, `tokens_per_s`, `prefix_hit_rate` and `ttft_s`; None for what is not known.
    """
    return {
        "running": reading.running,
        "waiting": reading.waiting,
        "kv_cache": reading.kv_cache,
        "tokens_per_s": moving.tokens_per_s,
        "prefix_hit_rate": moving.prefix_hit_rate,
        "ttft_s": moving.ttft_s,
    }


def parse_metrics(text: str) -> EngineMeters:
    """Read the known metrics from a scrape, summed over engines; unknown and invalid lines are skipped. Never raises.

    A missing metric is 0, but `kv_cache` is None. That one is a mean, from 0 to 1.

    Args:
        text: The body of `/metrics`.
    """
    samples: dict[str, list[float]] = defaultdict(list)
    for line in text.splitlines():
        if (match := _SAMPLE.match(line.strip())) and (value := _number(match[2])) is not None:
            samples[match[1]].append(value)
    fill = _find(samples, _KV_CACHE)
    return EngineMeters(
        running=int(_total(samples, _RUNNING)),
        waiting=int(_total(samples, _WAITING)),
        kv_cache=min(1.0, max(0.0, sum(fill) / len(fill))) if fill else None,
        prefix_queries=_total(samples, _PREFIX_QUERIES),
        prefix_hits=_total(samples, _PREFIX_HITS),
        generation_tokens_total=_total(samples, _GENERATED),
        ttft_sum=_total(samples, _TTFT_SUM),
        ttft_count=_total(samples, _TTFT_COUNT),
    )


def rates(prev: EngineMeters | None, cur: EngineMeters, dt_s: float) -> EngineRates:
    """Compute the rates between two readings; a rate that cannot be computed is None.

    A token counter that has decreased means a new engine, counted from 0. If no prompt token was looked up, or no
    request began, in between, that rate counts from the start of the engine.

    Args:
        prev: The earlier reading. None for the first one: then there are no tokens per second, and the other rates
            count from the start of the engine.
        cur: The later reading.
        dt_s: Seconds between them; without a positive number there are no tokens per second.
    """
    if prev is not None and cur.generation_tokens_total < prev.generation_tokens_total:
        prev = EngineMeters()
    base = prev or EngineMeters()
    speed = (cur.generation_tokens_total - base.generation_tokens_total) / dt_s if prev and dt_s > 0 else None
    return EngineRates(
        tokens_per_s=speed,
        prefix_hit_rate=_ratio(cur.prefix_hits, cur.prefix_queries, base.prefix_hits, base.prefix_queries),
        ttft_s=_ratio(cur.ttft_sum, cur.ttft_count, base.ttft_sum, base.ttft_count),
    )


def summed(readings: Sequence[EngineMeters]) -> EngineMeters:
    """Return one reading for several servers: sums, and the mean of the KV cache over those that report it.

    All 0, with None for the KV cache, for no readings.
    """
    fills = [reading.kv_cache for reading in readings if reading.kv_cache is not None]
    totals = {
        name: sum(getattr(reading, name) for reading in readings) for name in EngineMeters._fields if name != "kv_cache"
    }
    return EngineMeters(**totals, kv_cache=sum(fills) / len(fills) if fills else None)


def _ratio(part: float, whole: float, part_before: float, whole_before: float) -> float | None:
    if whole > whole_before:
        return max(0.0, part - part_before) / (whole - whole_before)
    return part / whole if whole > 0 else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _find(samples: dict[str, list[float]], names: Sequence[str]) -> list[float]:
    for name in names:
        if values := samples.get(name) or samples.get(name.removesuffix("_total")):
            return values
    return []


def _total(samples: dict[str, list[float]], names: Sequence[str]) -> float:
    total = sum(_find(samples, names))
    return total if math.isfinite(total) else 0.0
