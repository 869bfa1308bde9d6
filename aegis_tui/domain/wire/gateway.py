"""The answers of the model gateway as JSON (contract 9)."""

from __future__ import annotations

from typing import TypedDict


class ModelMetrics(TypedDict, total=False):
    """Figures of a model server; null for what it does not report, and none at all if it does not answer."""

    running: int
    """Requests being worked on."""
    waiting: int
    """Requests in the queue."""
    kv_cache: float | None
    """Filled part of the KV cache, 0 to 1."""
    tokens_per_s: float | None
    prefix_hit_rate: float | None
    """Part of the prompt tokens found in the prefix cache, 0 to 1."""
    ttft_s: float | None
    """Mean seconds to the first token."""


class MetersAnswer(TypedDict):
    """`GET /v1/meters`."""

    metrics: ModelMetrics


class UsageFields(TypedDict):
    """The totals of one caller."""

    requests: int
    errors: int
    running: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    ttft_s: float | None
    """A mean; null if nothing was counted."""
    latency_s: float | None


class UsageAnswer(TypedDict):
    """`GET /v1/usage`."""

    agents: dict[str, UsageFields]
    """By agent id."""


class ServerEndpoint(TypedDict):
    """A model server."""

    url: str
    model: str | None
    healthy: bool
