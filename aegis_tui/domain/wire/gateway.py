"""The answers of the model gateway as JSON (contract 9)."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class ModelMetrics(TypedDict, total=False):
    """Figures of a model server; null for what it does not report, and none at all if it does not answer."""

    running: int
    """Requests being worked on."""
    waiting: int
    """Requests in the queue."""
    kv_cache: float | None
    """Used share of the KV cache, 0 to 1."""
    tokens_per_s: float | None
    prefix_hit_rate: float | None
    """Share of the prompt tokens found in the prefix cache, 0 to 1."""
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
    """How many prompts the agent has sent since the gateway started."""
    chars: int
    rewritten: str | None
    """The part that changed between two prompts, other than by text added at the end; null if none did."""


class PartingFields(TypedDict):
    """Where the prompts of two agents begin to differ."""

    a: str
    b: str
    a_chars: int
    """The size of the prompt of `a`."""
    b_chars: int
    shared_chars: int
    """How many characters at the beginning are the same in both."""
    part: str | None
    """Where they first differ: `system`, `tools` or a message, as `message 3 (user)`; null if equal or not compared."""
    at: int
    """The position in that part, in characters."""
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


class CallFields(TypedDict):
    """One model call that has ended."""

    id: int | None
    """Null for one that an earlier version logged."""
    at: str
    """When it ended."""
    agent_id: str
    route: str
    """The path of the gateway that was called."""
    model: str
    endpoint: str
    """Base URL of the model server."""
    stream: bool
    status: int
    error: str | None
    """Null after success."""
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    """Prompt tokens that the server had in its cache."""
    ttft_s: float | None
    """Seconds to the first byte of the answer."""
    latency_s: float
    """Seconds to its end."""
    kept: bool
    """Whether request and answer were stored; they may have been deleted since."""


class ToolCallFields(TypedDict):
    """A call of a tool in an answer."""

    name: str
    arguments: str
    """As the model wrote them."""


class AnswerFields(TypedDict):
    """What an answer says."""

    text: str
    tool_calls: list[ToolCallFields]
    finish: str | None
    """Why the model stopped, as the server calls it."""


class CallLogOutput(TypedDict):
    """`gateway log`; request, answer and `said` for one call whose texts are stored."""

    calls: list[CallFields]
    """The newest one last."""
    request: NotRequired[str]
    """As the client sent it; a request to Google's API as it is passed to the model server."""
    answer: NotRequired[str]
    """As the model server sent it."""
    said: NotRequired[AnswerFields]


class ReplayedFields(TypedDict):
    """A request that was sent again."""

    endpoint: str
    model: str
    status: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    ttft_s: float | None
    latency_s: float
    said: AnswerFields


class CallReplayOutput(TypedDict):
    """`gateway replay`."""

    call: CallFields
    said: AnswerFields
    """What was answered then."""
    replay: ReplayedFields
    same: bool
    """Whether text and tool calls are equal."""
    differs_at: int | None
    """The index of the first character that differs, from 0; null if the texts are equal."""
