"""Chooses the model server for a call when there are several (LLM-2, PERF-9).

A caller's first call goes to the server with the least to do, so that callers spread evenly. Later, a server that has
computed the beginning of a prompt has it in its prefix cache, and one that is busy lets a call wait. Both are weighed
as characters of prompts that it would have to compute before this call's first token. Which beginnings a server has is
only guessed, from what was sent to it: its own eviction is not known.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from aegis_tui.gateway.sketch import BLOCK_CHARS, Sketch

STREAM_CHARS = 500
"""How much a running reply slows others down, as characters of a prompt."""
HOME_CHARS = 1_000
"""How much a caller whose calls go to a server counts there, for the first call of another caller."""
HOME_S = 300.0
"""How long after its last call a caller counts as one of a server's, in seconds."""
MOST_GAP = 8
"""A server with so many more running calls than the least busy one is not chosen, whatever it has in its cache."""
MOST_BLOCKS = 262_144
"""Blocks that are remembered for each server, 64 million characters; the least recently sent are forgotten."""
_FIRST_REST_S, _LONGEST_REST_S = 1.0, 30.0


@dataclass
class _Server:
    """What is known about one server."""

    blocks: OrderedDict[int, None] = field(default_factory=OrderedDict)
    running: dict[int, int] = field(default_factory=dict)
    """Running call -> characters of its prompt that the server had to compute."""
    failures: int = 0
    rests_until: float = 0.0

    def known_chars(self, chain: Sequence[int]) -> int:
        return BLOCK_CHARS * sum(1 for _ in itertools.takewhile(self.blocks.__contains__, chain))

    def learn(self, chain: Sequence[int]) -> None:
        for block in chain:
            self.blocks[block] = None
            self.blocks.move_to_end(block)
        while len(self.blocks) > MOST_BLOCKS:
            self.blocks.popitem(last=False)


class Routing:
    """Knows what runs on each server, what was sent to it, and which did not answer.

    Args:
        now: Returns a monotonic time in seconds.
    """

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._servers: dict[str, _Server] = {}
        self._homes: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._numbers = itertools.count()

    def order(self, urls: Sequence[str], sketch: Sketch, caller: str) -> list[str]:
        """Return the servers in the order in which to try a call: the best one first; those that rest come last.

        A server rests after it failed (see `failed`). Of the others, that is best which has the least to compute: its
        running calls, and what it has not computed of this prompt yet. If the caller had no call in the last 5 minutes,
        the number of callers whose last call in that time went to the server counts in place of the prompt. One with at
        least 8 running calls more than the least busy one comes after the others.

        Args:
            urls: The servers that may take the call.
            sketch: Its prompt.
            caller: Who calls.
        """
        if len(urls) < 2:
            return list(urls)
        chain, now = list(sketch.chain()), self._now()
        least = min(len(self._of(url).running) for url in urls)
        homes = self._count_homes(now)
        is_new = caller not in self._homes

        def cost(url: str) -> tuple[bool, bool, int]:
            server = self._of(url)
            is_far_behind = len(server.running) >= least + MOST_GAP
            ahead = sum(server.running.values()) + STREAM_CHARS * len(server.running)
            own = HOME_CHARS * homes[url] if is_new else sketch.size_chars - server.known_chars(chain)
            return server.rests_until > now, is_far_behind, ahead + max(0, own)

        return sorted(urls, key=cost)

    def _count_homes(self, now: float) -> Counter[str]:
        """Return base URL -> how many callers had their last call there within 5 minutes; forget the other callers."""
        while self._homes and next(iter(self._homes.values()))[1] < now - HOME_S:
            self._homes.popitem(last=False)
        return Counter(url for url, _ in self._homes.values())

    @contextmanager
    def running(
        self, url: str, sketch: Sketch | None, caller: str, *, computes: bool = True
    ) -> Iterator[Callable[[], None]]:
        """Count a call on a server while the block runs; yield a function to call when the server begins its answer.

        That function ends the server's rest after failures; the prompt then no longer counts as work for it. From the
        beginning of the block on, the prompt counts as known to the server, and the server as that of the caller.

        Args:
            url: The server.
            sketch: The prompt of the call; None if it is the only server, of which nothing is remembered.
            caller: Who calls.
            computes: Whether the server computes the prompt, and then has it in its cache; False if it only counts its
                tokens.
        """
        if sketch is None:
            yield lambda: None
            return
        server, number = self._of(url), next(self._numbers)
        server.running[number] = 0
        if computes:
            chain = list(sketch.chain())
            server.running[number] = max(0, sketch.size_chars - server.known_chars(chain))
            server.learn(chain)
            self._homes[caller] = (url, self._now())
            self._homes.move_to_end(caller)

        def begun() -> None:
            server.running[number] = 0  # the prompt is computed
            server.failures, server.rests_until = 0, 0.0

        try:
            yield begun
        finally:
            del server.running[number]

    def failed(self, url: str) -> None:
        """Note that a server did not answer: `order` puts it last for a while.

        What it had in its cache is taken as lost. That is 1 s at first, twice as long after each further failure, and
        30 s at most.
        """
        server = self._of(url)
        rest_s = min(_FIRST_REST_S * 2**server.failures, _LONGEST_REST_S)
        server.failures, server.rests_until = server.failures + 1, self._now() + rest_s
        server.blocks.clear()

    def _of(self, url: str) -> _Server:
        return self._servers.setdefault(url, _Server())
