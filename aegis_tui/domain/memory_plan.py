"""How many conversations of which length fit on a card beside a model's weights, with the arithmetic (LLM-1)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from aegis_tui.domain.model_shape import ModelShape

GIB = 1 << 30
ASSUMED_SHARE, ASSUMED_LEAST_BYTES = 0.02, GIB
"""What activations and CUDA graphs take of a card, and at least: an assumption, as only a start would show it."""
_STEP_TOKENS = 1024
"""Lengths are rounded down to a multiple of this."""


class Cards(NamedTuple):
    """The cards that a model is served on, all alike."""

    name: str
    memory_bytes: int
    """Memory of one card."""
    number: int = 1


class MemoryPlan(NamedTuple):
    """The result; sizes are of all cards together."""

    usable_bytes: int
    """What the server may use."""
    weight_bytes: int
    assumed_bytes: int
    """For activations and CUDA graphs."""
    left_bytes: int
    """What is left for conversations; negative if the weights do not fit."""
    token_bytes: int
    """What one token of a conversation takes."""
    fixed_bytes: int
    """What a conversation takes whatever its length, at the planned length."""
    sessions: int
    """How many conversations were asked for."""
    context_tokens: int
    """How long each of these may be; 0 if they do not fit."""
    longest_tokens: int
    """The longest conversation that was asked for, or that the model can have."""
    longest_sessions: int
    """How many conversations of `longest_tokens` fit."""
    lines: tuple[str, ...]
    """The arithmetic, for people."""

    @property
    def is_enough(self) -> bool:
        """Whether the conversations that were asked for fit, with at least a thousand tokens each."""
        return self.context_tokens >= _STEP_TOKENS


def plan_memory(
    shape: ModelShape,
    cards: Cards,
    *,
    sessions: int,
    longest_tokens: int | None = None,
    weight_bytes: int | None = None,
    utilization: float = 0.9,
    kv_bytes: int | None = None,
) -> MemoryPlan:
    """Compute how many conversations of which length fit beside the weights; `lines` of the result is the arithmetic.

    Args:
        shape: The model.
        cards: Where it is served.
        sessions: How many conversations run at once, 1 or more.
        longest_tokens: How long one may get; None for the longest that the model can have, or 32,768 if that is
            unknown.
        weight_bytes: The size of its files, if they are there; None to compute it from the shape.
        utilization: The share of each card that the server may use, 0 to 1 (`--gpu-memory-utilization`).
        kv_bytes: Bytes of a number in the KV cache (`--kv-cache-dtype fp8` makes it 1); None for the model's own.

    Returns:
        Where the weights do not fit, with a negative `left_bytes` and 0 tokens; no error is raised.

    Raises:
        ZeroDivisionError: `sessions` is 0.
    """
    number_bytes = kv_bytes or shape.dtype_bytes
    copies = max(1, -(-cards.number // shape.kv_heads))
    layer_bytes = shape.kv_numbers * number_bytes * copies
    longest = longest_tokens or shape.max_tokens or 32_768
    usable = int(cards.number * cards.memory_bytes * utilization)
    weights = shape.weight_bytes if weight_bytes is None else weight_bytes
    assumed = cards.number * max(ASSUMED_LEAST_BYTES, int(ASSUMED_SHARE * cards.memory_bytes))
    left = usable - weights - assumed
    fixed = partial(_fixed_bytes, shape, layer_bytes)

    token_bytes = shape.full_layers * layer_bytes
    context = _context(left // sessions, token_bytes, fixed, longest)
    size = longest * token_bytes + fixed(longest)
    plan = MemoryPlan(
        usable_bytes=usable,
        weight_bytes=weights,
        assumed_bytes=assumed,
        left_bytes=left,
        token_bytes=token_bytes,
        fixed_bytes=fixed(context),
        sessions=sessions,
        context_tokens=context,
        longest_tokens=longest,
        longest_sessions=max(0, left // size) if size else 0,
        lines=(),
    )
    replicated = f" x {copies} copies" if copies > 1 else ""
    per_layer = f"{shape.kv_numbers:,} numbers x {number_bytes} B{replicated}"
    return plan._replace(lines=_lines(plan, shape, cards, utilization, per_layer, is_computed=weight_bytes is None))


def _fixed_bytes(shape: ModelShape, layer_bytes: int, tokens: int) -> int:
    """Return the bytes that a conversation of this length takes in layers with a sliding window or a fixed state.

    Of a window it takes at most the window's tokens.
    """
    sliding = shape.sliding_layers * layer_bytes * min(tokens, shape.window_tokens)
    return shape.linear_layers * shape.state_bytes + sliding


def _context(room: int, token_bytes: int, fixed: Callable[[int], int], longest: int) -> int:
    """Return how many tokens, at most `longest`, a conversation may have in `room` bytes; 0 if none fits.

    Below `longest` it is rounded down to a multiple of 1,024.
    """
    low, high = 0, longest
    while low < high:
        middle = (low + high + 1) // 2
        if middle * token_bytes + fixed(middle) <= room:
            low = middle
        else:
            high = middle - 1
    return low if low == longest else low // _STEP_TOKENS * _STEP_TOKENS


def _lines(
    plan: MemoryPlan, shape: ModelShape, cards: Cards, utilization: float, per_layer: str, *, is_computed: bool
) -> tuple[str, ...]:
    computed = (
        f"{_billions(shape.quantized_parameters)} x {shape.parameter_bits:g} bits + "
        f"{_billions(shape.other_parameters)} x {8 * shape.dtype_bytes} bits"
    )
    many = f"{cards.number} x " if cards.number > 1 else ""
    assumed = f"assumed: {ASSUMED_SHARE:.0%} of a GPU, at least 1 GiB"
    rows = [
        (f"{cards.name}, usable", f"{many}{_gib(cards.memory_bytes)} x {utilization:g}", _gib(plan.usable_bytes)),
        ("weights", computed if is_computed else "the size of its files", _gib(plan.weight_bytes)),
        ("activations, CUDA graphs", assumed, _gib(plan.assumed_bytes)),
        ("left for conversations", "", _gib(plan.left_bytes)),
        ("one token", f"{shape.full_layers} layers x {per_layer}", f"{plan.token_bytes / 1024:,.2f} KiB"),
    ]
    parts = []
    if shape.sliding_layers:
        parts.append(f"{shape.sliding_layers} layers x {shape.window_tokens:,} tokens x {per_layer}")
    if shape.linear_layers:
        parts.append(f"{shape.linear_layers} layers x {shape.state_bytes / 2**20:.2f} MiB of state")
    if plan.fixed_bytes:
        rows.append(("one conversation", " + ".join(parts), f"{plan.fixed_bytes / 2**20:,.1f} MiB"))
    wide = max(len(name) for name, _, _ in rows)
    return (*(f"{name:<{wide}}  {value:>11}  {how}".rstrip() for name, how, value in rows), _verdict(plan))


def _verdict(plan: MemoryPlan) -> str:
    if plan.left_bytes <= 0:
        return "The weights do not fit: use a larger GPU, more GPUs, or a model with smaller weights."
    longest = f"{plan.longest_sessions} of {plan.longest_tokens:,} tokens"
    if plan.context_tokens:
        return f"{plan.sessions} conversations of {plan.context_tokens:,} tokens fit, or {longest}."
    return f"{plan.sessions} conversations do not fit; {longest} would."


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:,.1f} GiB"


def _billions(count: int) -> str:
    return f"{count / 1e9:.2f} billion"
