"""What a program does, as its terminal's title and screen show it: rules of its kind file, by version (PANE-5).

A program's own signals come first: a screen only says what nothing else says, such as that it asks for a permission.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from aegis_tui.domain.hosting.pattern import Pattern
from aegis_tui.domain.hosting.screen_prompt import PromptRule, SeenPrompt, read_prompt
from aegis_tui.domain.inert import one_line
from aegis_tui.domain.model import FrozenModel

ShownState = Literal["asking", "running", "idle"]
"""What a screen can show: it asks the person for a permission, works, or waits for a prompt."""

LOOKED_AT = 30
"""How many of the screen's last lines that are not blank are read."""
_LINE_CHARS = 1000
_WORDS_CHARS = 200


class ScreenRule(FrozenModel):
    """How to recognize one state: all conditions have to hold. A rule without any recognizes nothing."""

    state: ShownState
    lines: tuple[Pattern, ...] = ()
    """Regular expressions; each has to be found in one of the lines. The line of the first one is the evidence."""
    title: Pattern | None = None
    """A regular expression that has to be found in the title."""
    prompt: PromptRule | None = None
    """Where the question and its choices stand, if that differs from `ScreenRules.prompt`."""

    def evidence(self, title: str, lines: Sequence[str]) -> str | None:
        """Return the line or title that shows the state, as one line without hidden characters; None if none does."""
        if self.title is not None and not re.search(self.title, title):
            return None
        matches = [next((line for line in reversed(lines) if re.search(part, line)), None) for part in self.lines]
        if None in matches or not (matches or self.title):
            return None
        return one_line((matches[0] or "").strip() if matches else title)[:_WORDS_CHARS]


class ScreenRules(FrozenModel):
    """The part `screen` of a kind file: how the states of its program are recognized. Without rules, none is."""

    rules: tuple[ScreenRule, ...] = ()
    """In the order in which they are tried; the first that fits counts."""
    versions: tuple[str, ...] = ()
    """The versions of the program with whose recorded screens the rules are tested."""
    prompt: PromptRule | None = None
    """Where a question to the person and its choices stand; without it, a question has no choices."""


class Shown(NamedTuple):
    """A state that a rule recognized, and where."""

    state: ShownState
    source: Literal["title", "screen"]
    evidence: str
    """The line of the screen, or the title, by which the state was recognized."""
    asks: SeenPrompt | None = None
    """What the program asks the person; None in another state than `asking`."""


def read_screen(rules: ScreenRules, title: str, lines: Sequence[str]) -> Shown | None:
    """Return the state that a terminal shows; None if no rule fits. Never raises.

    Args:
        rules: The rules of its program.
        title: The terminal's title.
        lines: The lines of its screen as plain text, from the top.
    """
    last = [line[:_LINE_CHARS] for line in lines if line.strip()][-LOOKED_AT:]
    for rule in rules.rules:
        if (evidence := rule.evidence(title, last)) is not None:
            asks = read_prompt(rule.prompt or rules.prompt, evidence, last) if rule.state == "asking" else None
            return Shown(rule.state, "screen" if rule.lines else "title", evidence, asks)
    return None
