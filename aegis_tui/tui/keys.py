"""How keys are named on the screen (TUI-2)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

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


class KeyNames:
    """The names to show for the keys of actions in one place: on the dashboard, or on the grid of panes.

    An action is looked up by the name of its default key: `names["n"]` is `n`, or `N` if the person has given the key
    `N` to the action. `grid` has the names on the grid.

    Args:
        changed: Name of a default key -> name of the key that the person gave to its action.
        grid: The names on the grid; None if they are the same as here.
    """

    def __init__(self, changed: Mapping[str, str] = MappingProxyType({}), *, grid: KeyNames | None = None) -> None:
        self._changed = dict(changed)
        self.grid = grid or self

    def __getitem__(self, default: str) -> str:
        return self._changed.get(default, default)


DEFAULT_KEYS: Final = KeyNames()


def key_word(key: str) -> str:
    """Return the name to show for a key, such as `?` for `question_mark` and `^q` for `ctrl+q`; else the key itself."""
    return _KEY_WORDS.get(key, key.replace("ctrl+", "^"))
