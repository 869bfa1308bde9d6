"""Lists of a limited length out of many items."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batched(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of that size; the last may be shorter."""
    while batch := list(islice(items, size)):
        yield batch
