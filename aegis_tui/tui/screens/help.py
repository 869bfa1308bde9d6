"""The keys of this place, read from the bindings themselves: what it says cannot differ from what is so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from textual.binding import Binding
from textual.dom import DOMNode

from aegis_tui.tui.desk import Desk
from aegis_tui.tui.screens.why import WhyScreen
from aegis_tui.tui.text import Line, Span, fit

_KEY_WORDS = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "exclamation_mark": "!",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "down": "↓",
    "up": "↑",
    "left": "←",
    "right": "→",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "shift+tab": "⇧tab",
}


class KeyHelp(NamedTuple):
    """One action and how it is reached."""

    keys: str
    name: str
    help: str


def keys_of(nodes: Iterable[DOMNode]) -> list[tuple[str, list[KeyHelp]]]:
    """The bindings of each node that has some of ours, nearest first: a noun and its actions."""
    groups: dict[str, dict[str, KeyHelp]] = {}
    for node in nodes:
        for binding in own_bindings(node):
            noun, name = str(binding.id).split(".", 1)
            keys = key_word(binding.key)
            actions = groups.setdefault(noun, {})
            if name in actions:
                keys = f"{actions[name].keys} {keys}"
            actions[name] = KeyHelp(keys, binding.description, binding.tooltip)
    return [(noun, list(actions.values())) for noun, actions in groups.items()]


def own_bindings(node: DOMNode) -> list[Binding]:
    """Bindings of a node that this program declares: those with an id `noun.verb`."""
    found = [item for items in node._bindings.key_to_bindings.values() for item in items]
    return [item for item in found if item.id and "." in item.id]


def key_word(key: str) -> str:
    """A key as it is printed on a keyboard."""
    return _KEY_WORDS.get(key, key.replace("ctrl+", "^"))


def help_lines(groups: Sequence[tuple[str, list[KeyHelp]]], *, width: int) -> list[Line]:
    """A heading for each noun, a line for each action."""
    lines: list[Line] = []
    for noun, actions in groups:
        lines.append((Span(noun, "accent"),))
        lines += [
            (
                Span(f"  {fit(item.keys, 12)} ", "strong"),
                Span(f"{fit(item.name, 18)} "),
                Span(fit(item.help, max(0, width - 34)), "muted"),
            )
            for item in actions
        ]
        lines.append(())
    return lines


class HelpScreen(WhyScreen):
    """Every key that works where the person was."""

    def __init__(self, desk: Desk, nodes: Sequence[DOMNode]) -> None:
        groups = keys_of(nodes)
        super().__init__(desk, "Keys", lambda width: help_lines(groups, width=width))
