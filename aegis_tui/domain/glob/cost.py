"""The cost of compiling a glob, known before it is compiled: braces can expand one glob into many."""

from __future__ import annotations

from aegis_tui.domain.effort import Effort
from aegis_tui.domain.glob.pattern import MAX_ALTERNATIVES, Glob, compile_glob

_STEPS_A_CHARACTER = 2
"""Steps for each character of each alternative."""


def compile_within(text: str, effort: Effort, *, ignore_case: bool = False) -> Glob:
    """Charge `effort` for what the braces of a glob expand to, then return the compiled glob.

    Args:
        text: The glob, relative to the root of the repository.
        effort: What the request may still cost.
        ignore_case: Whether paths are compared case-folded.

    Raises:
        Refused: code `glob`, when the text is not a glob; code `glob.effort`, when it would cost too much.
    """
    effort.spend(_STEPS_A_CHARACTER * len(text) * count_alternatives(text), text)
    return compile_glob(text, ignore_case=ignore_case)


def count_alternatives(text: str) -> int:
    """Return how many globs the braces of a text expand to, at most `MAX_ALTERNATIVES` + 1. Never raises.

    A glob that expands to more than `MAX_ALTERNATIVES` is refused when it is compiled. For an invalid text the number
    means nothing.
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
