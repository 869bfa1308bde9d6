"""Numbers and lists in words, for messages to a person."""

from __future__ import annotations

from collections.abc import Sequence


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return the number and the noun, in the singular for 1: `1 file`, `0 files`.

    Args:
        number: How many there are.
        noun: The singular.
        plural: The plural, if it is not the noun with an s.
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


_SHOWN = 12


def listed(names: Sequence[str]) -> str:
    """Return the names joined with `, `: the first twelve, then ` and N more`; empty for none."""
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
