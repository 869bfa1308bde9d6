"""Which ports an instance gets for the servers that it starts (GIT-1). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

FIRST, LAST = 20_000, 32_767
"""The ports that are given out: below those that Linux gives to outgoing connections (32768 and more)."""

FIRST_VARIABLE, LAST_VARIABLE = "AEGIS_PORT_FIRST", "AEGIS_PORT_LAST"
"""The variables from which commands learn their ports; both ends belong to them."""


def choose_ports(count: int, taken: Iterable[range], *, start: int, is_free: Callable[[range], bool]) -> range | None:
    """Return the first free range of `count` ports from `FIRST` to `LAST`, searched from `start` on in a circle.

    Args:
        count: How many ports; at least 1.
        taken: The ranges of others; they may have other lengths.
        start: Any number, by which the search begins somewhere else for different owners; ranges are counted, not
            ports.
        is_free: Returns whether nobody listens on the ports of a range; asked only about ranges that are not taken.

    Returns:
        None if no range is left.
    """
    others = list(taken)
    places = (LAST + 1 - FIRST) // count
    for step in range(places):
        first = FIRST + (start + step) % places * count
        ports = range(first, first + count)
        if not any(_overlap(ports, other) for other in others) and is_free(ports):
            return ports
    return None


def _overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop
