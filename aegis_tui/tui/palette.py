"""The command palette: every action of this place by name, with its key and its command-line twin."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode

from aegis_tui.tui.screens.help import key_word, own_bindings

_MOVES = frozenset({"row", "page", "panel", "dialog", "prompt"})


class ActionProvider(Provider):
    """Reads the bindings of the screen that the palette was opened over."""

    def _actions(self) -> Iterator[tuple[str, str, str, DOMNode]]:
        """Name, help, action, and the node it runs on."""
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
        """Everything, before a word is typed."""
        for name, help_text, action, node in self._actions():
            yield DiscoveryHit(name, partial(self.app.run_action, action, node), help=help_text)

    async def search(self, query: str) -> Hits:
        """What matches the words."""
        matcher = self.matcher(query)
        for name, help_text, action, node in self._actions():
            score = matcher.match(f"{name} {help_text}")
            if score > 0:
                yield Hit(score, matcher.highlight(name), partial(self.app.run_action, action, node), help=help_text)
