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


class EndpointMeters(TypedDict):
    """The figures of one of the model servers."""

    url: str
    metrics: ModelMetrics


class MetersAnswer(TypedDict):
    """`GET /v1/meters`."""

    metrics: ModelMetrics
    """Of all model servers together."""
    endpoints: list[EndpointMeters]
    """Of each."""


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


class HealthAnswer(TypedDict):
    """`GET /healthz`."""

    ok: bool
    version: str
    endpoints: list[ServerEndpoint]


class PromptFields(TypedDict):
    """The last prompt of one agent."""

    agent_id: str
    model: str
    requests: int
    """How many prompts of it were seen."""
    chars: int
    rewritten: str | None
    """The part that changed between two prompts instead of only growing; null if none did."""


class PartingFields(TypedDict):
    """Where the prompts of two agents part."""

    a: str
    b: str
    a_chars: int
    """The size of the prompt of `a`."""
    b_chars: int
    shared_chars: int
    """How many characters both begin with."""
    part: str | None
    """Where they part: `system`, `tools`, or `message 3 (user)`; null if they are equal, or for other models."""
    at: int
    """The position in that part."""
    a_piece: str
    """A short piece of the prompt of `a` around that place."""
    b_piece: str
    reason: str


class PrefixesAnswer(TypedDict):
    """`GET /v1/prefixes`."""

    prompts: list[PromptFields]
    prefixes: list[PartingFields]


class EndpointFields(ServerEndpoint):
    """A model server with its figures."""

    metrics: ModelMetrics


class GatewayOutput(TypedDict):
    """`gateway status --json`."""

    endpoints: list[EndpointFields]
    metrics: ModelMetrics
    """Of all model servers together."""
    agents: dict[str, UsageFields]
    """By agent id."""
