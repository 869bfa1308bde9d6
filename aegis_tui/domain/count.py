"""Numbers with their noun, as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence


def counted(number: int, noun: str, plural: str = "") -> str:
    """The number and the noun, in the plural unless it is one: `1 file`, `0 files`.

    Args:
        number: How many there are.
        noun: In the singular.
        plural: Where it is not the noun with an s.
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


_SHOWN = 12


def listed(names: Sequence[str]) -> str:
    """Names for a person, not too many."""
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
