"""What it costs to read a glob, known before it is read: braces can make many globs of one."""

from __future__ import annotations

from aegis_tui.domain.effort import Effort
from aegis_tui.domain.glob.pattern import MAX_ALTERNATIVES, Glob, compile_glob

_STEPS_A_CHARACTER = 2
"""One alternative after the other is read."""


def compile_within(text: str, effort: Effort, *, ignore_case: bool = False) -> Glob:
    """As `compile_glob`, at the cost of what its braces expand to.

    Raises:
        Refused: code `glob`, or code `glob.effort`.
    """
    effort.spend(_STEPS_A_CHARACTER * len(text) * count_alternatives(text), text)
    return compile_glob(text, ignore_case=ignore_case)


def count_alternatives(text: str) -> int:
    """How many globs the braces of a text expand to, at least, and 1 for a text that is no glob; costs next to nothing.

    Counts up to one over `MAX_ALTERNATIVES`: what expands to more is refused.
    """
    most = MAX_ALTERNATIVES + 1
    counts, choices = [1], list[int]()
    at = 0
    while at < len(text):
        char = text[at]
        at += 2 if char == "\\" else 1
        if char == "{":
            counts.append(1)
            choices.append(0)
        elif char == "," and choices:
            choices[-1], counts[-1] = min(most, choices[-1] + counts[-1]), 1
        elif char == "}" and choices:
            inside = min(most, choices.pop() + counts.pop())
            counts[-1] = min(most, counts[-1] * inside)
    return counts[0]
