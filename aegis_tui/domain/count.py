"""Numbers with their noun, as a person reads them."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """The number and the noun, in the plural unless it is one: `1 file`, `0 files`.

    Args:
        number: How many there are.
        noun: In the singular.
        plural: Where it is not the noun with an s.
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
