"""Index of requests that have a logged answer, with the event's number; in memory, as most requests are new.

A dictionary would take some 150 bytes per entry and grow as long as a hub runs. This table takes 16 bytes per slot.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

SMALLEST = 1 << 16
"""The initial number of slots; it is doubled when more than half of them are used."""

_MASK = (1 << 64) - 1


class AnsweredIndex:
    """Event numbers by request. It stores only hashes: a false hit is possible, a missed entry is not.

    Two requests with the same 64-bit hash count as one, the later. The caller compares the row on disk.
    """

    _hashes: array[int]
    _seqs: array[int]
    _used: int

    def __init__(self, entries: Iterable[tuple[object, int]] = ()) -> None:
        """Create the index with these pairs of request and event number.

        Of two for one request the later pair counts.
        """
        self._make(SMALLEST)
        for key, seq in entries:
            self.add(key, seq)

    def __len__(self) -> int:
        return self._used

    def add(self, key: object, seq: int) -> None:
        """Record that the answer to a request belongs to event `seq`, greater than 0; replaces an earlier record."""
        if 2 * self._used >= len(self._seqs):
            self._remake(list(self._entries()), 2 * len(self._seqs))
        self._put(hash(key) & _MASK, seq)

    def extend(self, entries: Sequence[tuple[object, int]]) -> None:
        """Add many entries in any order; of two entries for one request the later event is kept.

        It is one loop without a call per entry, because a starting hub waits for about 30,000 of them (PERF-3).
        """
        while 2 * (self._used + len(entries)) > len(self._seqs):
            self._remake(list(self._entries()), 2 * len(self._seqs))
        hashes, seqs, used = self._hashes, self._seqs, self._used
        last = len(seqs) - 1
        for key, seq in entries:
            hashed = hash(key) & _MASK
            at = hashed & last
            while seqs[at] and hashes[at] != hashed:
                at = (at + 1) & last
            used += not seqs[at]
            hashes[at], seqs[at] = hashed, max(seq, seqs[at])
        self._used = used

    def find(self, key: object) -> int | None:
        """Return the number of the event of a request's answer; None if the request certainly has none.

        The number may be that of another request with the same hash: compare the row on disk.
        """
        hashed = hash(key) & _MASK
        at = self._slot(hashed)
        return self._seqs[at] or None

    def forget_before(self, seq: int) -> None:
        """Remove the entries of events with a number below `seq`."""
        kept = [(hashed, at_seq) for hashed, at_seq in self._entries() if at_seq >= seq]
        if len(kept) < self._used:
            self._remake(kept, len(self._seqs))

    def _entries(self) -> Iterator[tuple[int, int]]:
        return ((hashed, seq) for hashed, seq in zip(self._hashes, self._seqs, strict=True) if seq)

    def _slot(self, hashed: int) -> int:
        hashes, seqs = self._hashes, self._seqs
        last = len(seqs) - 1
        at = hashed & last
        while seqs[at] and hashes[at] != hashed:
            at = (at + 1) & last
        return at

    def _put(self, hashed: int, seq: int) -> None:
        at = self._slot(hashed)
        self._used += not self._seqs[at]
        self._hashes[at], self._seqs[at] = hashed, seq

    def _make(self, slots: int) -> None:
        self._hashes, self._seqs = array("Q", bytes(8 * slots)), array("Q", bytes(8 * slots))
        self._used = 0

    def _remake(self, entries: list[tuple[int, int]], slots: int) -> None:
        self._make(slots)
        for hashed, seq in entries:
            self._put(hashed, seq)
