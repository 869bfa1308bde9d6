"""A dialog with the keys of the current screen. They are read from the bindings, so that the help is always right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from textual.binding import Binding
from textual.dom import DOMNode

from aegis_tui.tui.desk import Desk
from aegis_tui.tui.keys import key_word
from aegis_tui.tui.screens.why import WhyScreen
from aegis_tui.tui.text import Line, Span, fit, wrap

_NAMES_WIDTH = 34
"""Cells before the help of an action: its keys and its name."""


class KeyHelp(NamedTuple):
    """One action with its keys, as the help shows it."""

    keys: str
    name: str
    help: str


def keys_of(nodes: Iterable[DOMNode]) -> list[tuple[str, list[KeyHelp]]]:
    """Return the bindings of these nodes in groups: each noun of an id, `noun.verb`, with the actions that have it.

    Nouns and actions stand in the order in which they are declared. An action with several keys is listed once, with
    all of them.
    """
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
    """Return the bindings of a node with an id `noun.verb`: those that this program declares, and not Textual.

    They have the keys that the person chose in the settings, and stand in the order of their declaration.
    """
    order = {item.id: place for place, (_, item) in reversed(list(enumerate(node._bindings)))}
    bindings = node._bindings.copy()
    bindings.apply_keymap(node.app._keymap)
    return sorted((item for _, item in bindings if item.id and "." in item.id), key=lambda item: order[item.id])


def help_lines(groups: Sequence[tuple[str, list[KeyHelp]]], *, width: int) -> list[Line]:
    """Return a heading for each noun, then the lines for each of its actions, and an empty line.

    `groups` is what `keys_of` returns. Lines have at most `width` cells, but not fewer than 44.
    """
    lines: list[Line] = []
    for noun, actions in groups:
        lines.append((Span(noun, "accent"),))
        for item in actions:
            first, *rest = wrap(item.help, max(10, width - _NAMES_WIDTH))
            keys = Span(f"  {fit(item.keys, 12)} ", "strong")
            lines.append((keys, Span(f"{fit(item.name, 18)} "), Span(first, "muted")))
            lines += [(Span(" " * _NAMES_WIDTH + part, "muted"),) for part in rest]
        lines.append(())
    return lines


class HelpScreen(WhyScreen):
    """A dialog that lists the keys of `nodes`, for example of the focused widget, the screen and the app below it."""

    def __init__(self, desk: Desk, nodes: Sequence[DOMNode]) -> None:
        groups = keys_of(nodes)
        super().__init__(desk, "Keys", lambda width: help_lines(groups, width=width))
