"""Remembers the last prompt of each caller, as hashes and short pieces, to show where two prompts part (LLM-3).

Pieces of prompts stay in this process's memory, are limited in number, and only the person gets them.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, takewhile
from typing import Any, NamedTuple

from aegis_tui.domain.count import listed
from aegis_tui.domain.inert import inert
from aegis_tui.domain.wire.gateway import PartingFields, PrefixesAnswer
from aegis_tui.gateway.dialect import Dialect
from aegis_tui.gateway.sketch import BLOCK_CHARS, Fields, Part, Sketch, Text, sketch_of, texts_of, tool_names

MOST_CALLERS = 64
"""Prompts of more callers than these are forgotten, the least recently used first."""
MOST_PIECES = 8192
"""How many blocks are kept as text, once each however many prompts share them: 2 million characters."""
_AROUND_CHARS = 40
_UNKNOWN = "(no longer known)"

_KINDS = (
    ("a time", re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\b\d\d:\d\d:\d\d\b|\b1[6-9]\d{8}(\.\d+)?\b")),
    ("a date", re.compile(r"\b\d{4}-\d\d-\d\d\b|\b\d{1,2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)")),
    ("a random id", re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}|\b[0-9a-f]{16,}\b")),
    ("a path", re.compile(r"(^|[\s\"'(=])/[\w.~-]+/[\w./~-]*")),
    ("the id of an instance", re.compile(r"\b[A-Z][A-Z-]+-[a-z]\d\d+\b")),
)


class _Seen(NamedTuple):
    sketch: Sketch
    requests: int
    rewritten: str | None
    """The first part of the last prompt that did not go on from the prompt before; None if none did so far."""


class _Parting(NamedTuple):
    shared_chars: int
    part: str | None
    at: int
    pieces: tuple[str, str]
    reason: str


class Prefixes:
    """The last prompts of at most 64 callers."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._pieces: OrderedDict[int, str] = OrderedDict()

    def note(self, caller: str, dialect: Dialect, fields: Fields, *, model: str) -> Sketch:
        """Remember the prompt of a request as its caller's last one, and return it as hashes; raises nothing.

        With the 65th caller, the one that has not called for the longest time is forgotten.

        Args:
            caller: The agent id of the caller.
            dialect: The API of the request.
            fields: Its fields.
            model: The model that it goes to.
        """
        texts = texts_of(dialect, fields)
        before = self._seen.get(caller)
        sketch = sketch_of(model, texts, tool_names(fields), before.sketch if before else None)
        self._keep_pieces(texts, sketch, before.sketch if before else None)
        rewritten = _rewritten(before.sketch, sketch) if before else None
        self._seen[caller] = _Seen(
            sketch, before.requests + 1 if before else 1, rewritten or (before.rewritten if before else None)
        )
        self._seen.move_to_end(caller)
        if len(self._seen) > MOST_CALLERS:
            self._seen.popitem(last=False)
        return sketch

    def look_at(self, caller: str, dialect: Dialect, fields: Fields, *, model: str) -> Sketch:
        """Return the prompt of a request as hashes, as `note` does, but remember nothing; raises nothing."""
        before = self._seen.get(caller)
        return sketch_of(model, texts_of(dialect, fields), tool_names(fields), before.sketch if before else None)

    def view(self, one: str | None = None, two: str | None = None) -> PrefixesAnswer:
        """Return the last prompts, and for each two neighbours where they begin to differ.

        The order puts prompts side by side that begin alike.

        Args:
            one: An agent id, which counts only if `two` is given; then only these two are compared. Callers that are
                unknown are left out.
            two: The other one; None for all callers.

        Returns:
            `prompts` with the model, size and number of requests of each, and `prefixes` with the common length, the
                place, a short piece of both and a reason for each pair.
        """
        chosen = {name: seen for name, seen in self._seen.items() if two is None or name in (one, two)}
        order = _side_by_side({name: list(seen.sketch.chain()) for name, seen in chosen.items()})
        return {
            "prompts": [
                {
                    "agent_id": name,
                    "model": chosen[name].sketch.model,
                    "requests": chosen[name].requests,
                    "chars": chosen[name].sketch.size_chars,
                    "rewritten": chosen[name].rewritten,
                }
                for name in order
            ],
            "prefixes": [self._compared(a, b, chosen[a].sketch, chosen[b].sketch) for a, b in pairwise(order)],
        }

    def _compared(self, a: str, b: str, one: Sketch, two: Sketch) -> PartingFields:
        parting = self._parting(one, two)
        return {
            "a": a,
            "b": b,
            "a_chars": one.size_chars,
            "b_chars": two.size_chars,
            "shared_chars": parting.shared_chars,
            "part": parting.part,
            "at": parting.at,
            "a_piece": parting.pieces[0],
            "b_piece": parting.pieces[1],
            "reason": parting.reason,
        }

    def _parting(self, one: Sketch, two: Sketch) -> _Parting:
        if one.model != two.model:
            return _Parting(0, None, 0, (one.model, two.model), "the models differ, and each has a cache of its own")
        shared = 0
        for a, b in zip(one.parts, two.parts, strict=False):
            if a.blocks != b.blocks or a.name != b.name:
                at, pieces = self._place(a, b)
                return _Parting(shared + at, a.name, at, pieces, _reason(one, two, (a, b), pieces))
            shared += a.size_chars
        longer = one if len(one.parts) > len(two.parts) else two
        if len(one.parts) == len(two.parts):
            return _Parting(shared, None, 0, ("", ""), "the prompts are equal")
        at_part = longer.parts[min(len(one.parts), len(two.parts))].name
        return _Parting(shared, at_part, 0, ("", ""), "one prompt is the beginning of the other")

    def _place(self, a: Part, b: Part) -> tuple[int, tuple[str, str]]:
        """Return how many characters two parts of prompts have in common, and a short piece of each around that place.

        In place of pieces that are no longer kept, both texts say so.
        """
        equal = _equal(a.blocks, b.blocks)
        texts = [self._text_around(part, equal) for part in (a, b)]
        if None in texts:
            return equal * BLOCK_CHARS, (_UNKNOWN, _UNKNOWN)
        one, two = ((before or "", after or "") for before, after in texts)  # type: ignore[misc]  # none is None
        same = _equal(one[1], two[1])
        pieces = tuple(
            inert(
                (before + after)[max(0, len(before) + same - _AROUND_CHARS) : len(before) + same + _AROUND_CHARS],
                keep="\n",
            )
            for before, after in (one, two)
        )
        return equal * BLOCK_CHARS + same, (pieces[0], pieces[1])

    def _text_around(self, part: Part, number: int) -> tuple[str, str] | None:
        """Return the block before a block, and that block, as text.

        A text is empty at an end of the part. None if one of the two is no longer kept.

        Args:
            part: The part.
            number: The index of the second block.
        """
        before = self._pieces.get(part.blocks[number - 1]) if number else ""
        after = self._pieces.get(part.blocks[number]) if number < len(part.blocks) else ""
        return None if before is None or after is None else (before, after)

    def _keep_pieces(self, texts: list[Text], sketch: Sketch, before: Sketch | None) -> None:
        known = {id(part) for part in before.parts} if before else set()
        for text, part in zip(texts, sketch.parts, strict=True):
            if id(part) in known:
                continue
            for number, block in enumerate(part.blocks):
                if block not in self._pieces:
                    self._pieces[block] = text.text[number * BLOCK_CHARS : (number + 1) * BLOCK_CHARS]
                self._pieces.move_to_end(block)
        while len(self._pieces) > MOST_PIECES:
            self._pieces.popitem(last=False)


def _side_by_side(chains: Mapping[str, Sequence[int]]) -> list[str]:
    """Return the names in an order in which prompts that begin alike are neighbours.

    The first is the first by name; after each one follows, of the rest, that which begins most like it.

    Args:
        chains: Name -> the hashes of `Sketch.chain`.
    """
    left, order = sorted(chains), list[str]()
    while left:
        nearest = max(left, key=lambda name: _equal(chains[order[-1]], chains[name])) if order else left[0]
        left.remove(nearest)
        order.append(nearest)
    return order


def _equal(one: Iterable[Any], two: Iterable[Any]) -> int:
    """Return how many values two series have in common from the beginning on, up to the first pair that differs."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False)))


def _rewritten(before: Sketch, now: Sketch) -> str | None:
    """Return the name of the first part of a prompt that is not what the prompt before had; None if it only grew.

    A last message to which text was appended has only grown. Compared are whole blocks of 256 characters.
    """
    for number, part in enumerate(before.parts):
        if number >= len(now.parts):
            return part.name
        later = now.parts[number]
        is_last = number == len(before.parts) - 1
        whole = part.blocks[:-1] if is_last else part.blocks
        if (later.blocks[: len(whole)] if is_last else later.blocks) != whole:
            return part.name
    return None


def _reason(one: Sketch, two: Sketch, parts: tuple[Part, Part], pieces: tuple[str, str]) -> str:
    """Return in words why two prompts differ from a place on, as far as the part and the pieces around it show."""
    if parts[0].name != parts[1].name:
        return f"one has {parts[0].name} where the other has {parts[1].name}"
    if parts[0].name == "tools":
        mine, others = set(one.tools), set(two.tools)
        if mine != others:
            return f"the tools differ: {listed(sorted(mine ^ others))}"
        return "the same tools in another order" if one.tools != two.tools else "the description of a tool differs"
    for words, pattern in _KINDS:
        values = [{match[0] for match in pattern.finditer(piece)} for piece in pieces]
        if values[0] != values[1]:
            return f"{words} differs"
    return "the system messages differ" if parts[0].name == "system" else "the texts differ"
