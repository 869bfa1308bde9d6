"""Reads the question that a program asks the person on its screen, and the numbered choices for it (PANE-5).

The text comes from a screen, so an agent may have written it: it is shown, and compared with a later screen, but
nothing in it is ever followed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from aegis_tui.domain.hosting.pattern import Pattern
from aegis_tui.domain.inert import one_line
from aegis_tui.domain.model import FrozenModel

MOST_CHOICES = 9
MOST_WORDS = 1000
"""The most characters of a question that are kept."""
_CHOICE_CHARS = 300
_LINES_BELOW = 4
"""How many lines that are not blank may stand below the choices; below more, they are text of an earlier turn."""
_FRAME = re.compile(r"^[\s│┃|]+|[\s│┃|]+$")
_RULER = re.compile(r"[\s─╌━═╭╮╰╯┌┐└┘│┃]*\Z")
_GROUPS = ("mark", "words")


def _of_choice(pattern: str) -> str:
    missing = [name for name in _GROUPS if name not in re.compile(pattern).groupindex]
    if missing:
        raise ValueError(f"{pattern!r} has no group {' and no group '.join(missing)}")
    return pattern


class PromptRule(FrozenModel):
    """Where a program's question and its choices stand on the screen. Lines are compared without a frame at their left.

    Only a program is described here in which the arrow keys move the mark, and Enter takes the choice that has it.
    """

    begin: Pattern
    """A regular expression for the first line of the question, with its frame: no line of what the program asks about
    may fit it, or that line would hide those above it."""
    choice: Annotated[Pattern, AfterValidator(_of_choice)]
    """A regular expression for the line of a choice, with the groups `mark` and `words`, and `number` if the choices
    are numbered; `mark` takes part in the match only for the choice that Enter takes."""


class ScreenPrompt(FrozenModel):
    """A question of a program to the person, as its screen shows it."""

    words: str = Field(max_length=MOST_WORDS)
    """The question and what it is about, as one line without hidden characters."""
    choices: tuple[str, ...] = Field((), max_length=MOST_CHOICES)
    """What the person can choose, in the order of the screen; empty if that could not be read with certainty."""
    digest: str = Field(pattern=r"^[0-9a-f]{16}$")
    """Equal for two screens only if they ask the same."""


class SeenPrompt(FrozenModel):
    """A question on a screen, and where its mark is."""

    prompt: ScreenPrompt
    marked: int | None
    """The index of the choice that Enter takes, from 0; None without choices."""


def read_prompt(rule: PromptRule | None, evidence: str, lines: Sequence[str]) -> SeenPrompt:
    """Return the question that a screen shows on which a state rule has recognized one. Never raises.

    There are choices only if the whole question is on the screen, and the choices stand at the lower end of the screen,
    on lines that follow each other or numbered from 1 without a gap, with the mark at exactly one of them.

    Args:
        rule: Where question and choices stand; None if that is not known for the kind.
        evidence: The line by which the state was recognized; the question, if no better one is found.
        lines: The lines of the screen that are not blank, as plain text, from the top.
    """
    bare = [_FRAME.sub("", line) for line in lines]
    block = _choices(rule, bare) if rule is not None else None
    if rule is None or block is None:
        return SeenPrompt(prompt=_prompt(evidence, ()), marked=None)
    first, choices, marked = block
    begin = next((at for at in range(first, -1, -1) if re.search(rule.begin, lines[at])), None)
    if begin is None:
        return SeenPrompt(prompt=_prompt(evidence, ()), marked=None)
    asked = " ".join(line for line in bare[begin:first] if not _RULER.match(line))
    if len(_plain(asked)) > MOST_WORDS:
        return SeenPrompt(prompt=_prompt(asked, ()), marked=None)
    return SeenPrompt(prompt=_prompt(asked or evidence, choices), marked=marked)


def _plain(text: str) -> str:
    """Return a text as one line without hidden characters and without blanks in a row."""
    return one_line(" ".join(text.split()))


def _prompt(words: str, choices: tuple[str, ...]) -> ScreenPrompt:
    shown = _plain(_FRAME.sub("", words))[:MOST_WORDS]
    digest = hashlib.sha256("\0".join((shown, *choices)).encode()).hexdigest()[:16]
    return ScreenPrompt(words=shown, choices=choices, digest=digest)


def _choices(rule: PromptRule, lines: Sequence[str]) -> tuple[int, tuple[str, ...], int] | None:
    """Return the line of the first choice, the words of all, and the index of the marked one; None if it is unclear."""
    options = [(at, match) for at, line in enumerate(lines) if (match := re.search(rule.choice, line))]
    is_numbered = "number" in re.compile(rule.choice).groupindex
    block = _numbered(options) if is_numbered else _adjoining(options)
    marked = [index for index, (_, match) in enumerate(block) if match["mark"]]
    if len(marked) != 1:
        return None
    below = [line for line in lines[block[-1][0] + 1 :] if not _RULER.match(line)]
    if len(block) > MOST_CHOICES or len(below) > _LINES_BELOW:
        return None
    return block[0][0], tuple(_plain(match["words"])[:_CHOICE_CHARS] for _, match in block), marked[0]


_Options = list[tuple[int, re.Match[str]]]


def _numbered(options: _Options) -> _Options:
    """Return the last choices that are numbered from 1; empty if a number is missing among them."""
    start = next((at for at in range(len(options) - 1, -1, -1) if options[at][1]["number"] == "1"), len(options))
    block = options[start:]
    numbers = [match["number"] for _, match in block]
    return block if numbers == [str(number + 1) for number in range(len(block))] else []


def _adjoining(options: _Options) -> _Options:
    """Return the last choices that stand on lines that follow each other."""
    start = len(options) - 1
    while start > 0 and options[start - 1][0] == options[start][0] - 1:
        start -= 1
    return options[max(0, start) :]
