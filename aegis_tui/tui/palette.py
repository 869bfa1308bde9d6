"""The command palette: lists the actions of the current screen by name, with key and help."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode

from aegis_tui.tui.keys import key_word
from aegis_tui.tui.screens.help import own_bindings

_MOVES = frozenset({"row", "page", "panel", "dialog", "prompt"})


class ActionProvider(Provider):
    """Gives Textual's command palette the actions of the focused widget, the screen and the app below the palette."""

    def _actions(self) -> Iterator[tuple[str, str, str, DOMNode]]:
        """Yield the name with its key, the help and the Textual action of each binding, and the node to run it on.

        These are the bindings of the focused widget, the screen and the app that this program declares. An action with
        several keys is yielded once. Those with an id of a noun in `_MOVES`, such as `row.down`, are left out.
        """
        seen: set[str] = set()
        nodes = [self.focused, self.screen, self.app] if self.focused else [self.screen, self.app]
        for node in nodes:
            for binding in own_bindings(node):
                noun = str(binding.id).split(".", 1)[0]
                if noun in _MOVES or str(binding.id) in seen:
                    continue
                seen.add(str(binding.id))
                name = f"{noun}: {binding.description.lower()}  ({key_word(binding.key)})"
                yield name, binding.tooltip, binding.action, node

    async def discover(self) -> Hits:
        """Yield every action, in the order of `_actions`; called by Textual before anything is typed."""
        for name, help_text, action, node in self._actions():
            yield DiscoveryHit(name, partial(self.app.run_action, action, node), help=help_text)

    async def search(self, query: str) -> Hits:
        """Yield the actions whose name or help matches what was typed, `query`, with a score; called by Textual."""
        matcher = self.matcher(query)
        for name, help_text, action, node in self._actions():
            score = matcher.match(f"{name} {help_text}")
            if score > 0:
                yield Hit(score, matcher.highlight(name), partial(self.app.run_action, action, node), help=help_text)
