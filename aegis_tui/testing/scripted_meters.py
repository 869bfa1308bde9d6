"""Tokens, prefix cache and meters of the scripted server: simple, but really counted, under vLLM's names.

The names are those of vLLM 0.32 (https://docs.vllm.ai/en/stable/usage/metrics.html).
"""

from __future__ import annotations

import json
import re
import zlib
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

BLOCK_TOKENS = 16
TTFT_BUCKETS_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_TOKEN = re.compile(r" ?\w{1,4}|\s+|[^\w\s]{1,4}")


def split_tokens(text: str) -> list[str]:
    """Split a text into tokens: up to four word characters or signs, or a run of spaces; joined, they are the text."""
    return _TOKEN.findall(text)


def token_id(token: str) -> int:
    """Return a number from 0 to 131071 for a token, the same in every process; different tokens may share one."""
    return zlib.crc32(token.encode("utf-8", "surrogatepass")) & 0x1FFFF


def render_prompt(messages: Sequence[Mapping[str, Any]], tools: object = None) -> str:
    """Return tools and messages as one text, in the order of a chat template: first the tools, then the messages."""
    parts = [f"# Tools\n{json.dumps(tools, ensure_ascii=False)}\n"] if tools else []
    for message in messages:
        parts.append(f"<|im_start|>{message.get('role')}\n")
        parts.append(render_turn(message) + "<|im_end|>\n")
    return "".join(parts)


def render_turn(message: Mapping[str, Any]) -> str:
    """Return the content and the tool calls of one message as text; content that is a list is written as JSON."""
    content = message.get("content") or ""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    for call in message.get("tool_calls") or ():
        function = call.get("function", {})
        text += f"<tool_call>{function.get('name')} {function.get('arguments')}</tool_call>"
    return text


class PrefixCache:
    """Records which blocks of tokens were seen after which earlier blocks; the least recently used are dropped.

    Args:
        capacity_blocks: How many blocks are kept; None for all, as in an ideal cache.
        block_tokens: The size of a block.
    """

    def __init__(self, capacity_blocks: int | None = 16_384, *, block_tokens: int = BLOCK_TOKENS) -> None:
        self.capacity_blocks = capacity_blocks
        self._block_tokens = block_tokens
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def add(self, tokens: Sequence[Hashable]) -> int:
        """Add the full blocks of a sequence; return how many of its first tokens were cached, in full blocks.

        A block with the last token never counts as cached, because a real server always computes that token.
        """
        size = self._block_tokens
        known, chain, is_prefix = 0, 0, True
        for start in range(0, len(tokens) - size + 1, size):
            chain = hash((chain, *tokens[start : start + size]))
            is_prefix = is_prefix and chain in self._blocks
            known += size if is_prefix and start + size < len(tokens) else 0
            self._blocks[chain] = None
            self._blocks.move_to_end(chain)
        while self.capacity_blocks is not None and len(self._blocks) > self.capacity_blocks:
            self._blocks.popitem(last=False)
        return known


class Meters:
    """The counters of one server. Clients compute rates from two scrapes, as with vLLM."""

    def __init__(self, model: str, *, capacity_blocks: int = 16_384) -> None:
        self.model = model
        self.capacity_blocks = capacity_blocks
        self.running = 0
        self.waiting = {"capacity": 0, "deferred": 0}
        self.used_tokens = 0
        self.prefix_queries = 0
        self.prefix_hits = 0
        self.generation_tokens = 0
        self.finished = dict.fromkeys(("stop", "length", "abort", "error"), 0)
        self.ttft_s: list[int] = [0] * (len(TTFT_BUCKETS_S) + 1)
        self.ttft_sum_s = 0.0

    def first_token(self, waited_s: float) -> None:
        """Count the time that a request waited for its first token, in seconds, in the histogram and its sum."""
        self.ttft_sum_s += waited_s
        self.ttft_s[sum(waited_s > bound for bound in TTFT_BUCKETS_S)] += 1

    def render(self) -> str:
        """Return the meters in Prometheus' text format, version 0.0.4."""
        lines: list[str] = []

        def family(name: str, kind: str, *samples: tuple[str, float], suffix: str = "") -> None:
            lines.extend((f"# HELP vllm:{name} Scripted server.", f"# TYPE vllm:{name} {kind}"))
            lines.extend(f"vllm:{name}{suffix}{{{self._labels(labels)}}} {value}" for labels, value in samples)

        used_blocks = self.used_tokens / BLOCK_TOKENS
        family("num_requests_running", "gauge", ("", float(self.running)))
        family("num_requests_waiting", "gauge", ("", float(sum(self.waiting.values()))))
        reasons = [(f'reason="{reason}"', float(count)) for reason, count in self.waiting.items()]
        family("num_requests_waiting_by_reason", "gauge", *reasons)
        family("kv_cache_usage_perc", "gauge", ("", min(1.0, used_blocks / self.capacity_blocks)))
        family("prefix_cache_queries_total", "counter", ("", float(self.prefix_queries)))
        family("prefix_cache_hits_total", "counter", ("", float(self.prefix_hits)))
        family("prompt_tokens_total", "counter", ("", float(self.prefix_queries)))
        family("prompt_tokens_cached_total", "counter", ("", float(self.prefix_hits)))
        family("generation_tokens_total", "counter", ("", float(self.generation_tokens)))
        ends = [(f'finished_reason="{reason}"', float(count)) for reason, count in self.finished.items()]
        family("request_success_total", "counter", *ends)
        family("time_to_first_token_seconds", "histogram", *self._ttft_buckets(), suffix="_bucket")
        lines.append(f"vllm:time_to_first_token_seconds_sum{{{self._labels('')}}} {self.ttft_sum_s}")
        lines.append(f"vllm:time_to_first_token_seconds_count{{{self._labels('')}}} {float(sum(self.ttft_s))}")
        return "\n".join(lines) + "\n"

    def _ttft_buckets(self) -> list[tuple[str, float]]:
        bounds = [*map(str, TTFT_BUCKETS_S), "+Inf"]
        return [(f'le="{bound}"', float(sum(self.ttft_s[: index + 1]))) for index, bound in enumerate(bounds)]

    def _labels(self, more: str) -> str:
        model = self.model.replace("\\", "\\\\").replace('"', '\\"')
        return f'engine="0",{more}{"," if more else ""}model_name="{model}"'
