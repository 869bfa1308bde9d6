"""The keys that a person gave to actions in `[keys]` of the settings: checked against all actions (TUI-2)."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import Keys as NamedKeys
from textual.keys import _character_to_key

from aegis_tui.errors import UsageError
from aegis_tui.tui.keys import KeyNames, key_word
from aegis_tui.tui.screens import dashboard as dashboard  # so that all its actions are known
from aegis_tui.tui.screens import grid as grid  # as above

DIALOGS: Final = frozenset(
    {"confirm", "design", "dialog", "diff", "feature", "goal", "prompt", "report", "runs", "stop", "why"}
)
"""Nouns of the actions in dialogs. Their keys are fixed: a dialog names them itself."""
_ANYWHERE = frozenset({"app", "view"})
_NAMED = frozenset(item.value for item in NamedKeys)
_MODIFIERS = re.compile(r"(?:(?:ctrl|shift|alt)\+)*")


def read_keymap(wanted: Mapping[str, str]) -> tuple[dict[str, str], KeyNames]:
    """Check the keys that a person chose in `[keys]` of the settings, and return them in the forms that the app needs.

    Args:
        wanted: Id of an action, such as `run.new` -> its key, or several divided by commas: a character, or Textual's
            name for a key.

    Returns:
        The keymap for `App.set_keymap`, and the names to show.

    Raises:
        UsageError: There is no such action or key, the action belongs to a dialog, or another action has the key.
    """
    known = bindings()
    keymap: dict[str, str] = {}
    names: dict[str, str] = {}
    grid: dict[str, str] = {}
    for action, keys in wanted.items():
        if action not in known:
            near = difflib.get_close_matches(action, known, 1)
            hint = f"did you mean {near[0]}?" if near else "docs/configuration.md lists the actions"
            raise _refusal(f"there is no action {action}", hint)
        if action.partition(".")[0] in DIALOGS:
            raise UsageError(
                f"[keys] of your settings: the keys of dialogs are fixed: {action}", "remove it", is_certain=True
            )
        keymap[action] = ",".join(_read(action, key.strip()) for key in keys.split(","))
        name = key_word(known[action].split(",")[0]), key_word(keymap[action].split(",")[0])
        for place, default in ((names, "run"), (grid, "grid")):
            if _meet(action, f"{default}."):
                place.update([name])
    _refuse_clashes({**known, **keymap}, keymap)
    return keymap, KeyNames(names, grid=KeyNames(grid))


def _refusal(words: str, hint: str) -> UsageError:
    return UsageError(f"[keys] of your settings: {words}", hint, is_certain=True)


def bindings() -> dict[str, str]:
    """Return the id of each action -> its default keys, divided by commas, of all widgets and screens of the dashboard.

    Those of a module that is not imported, such as a dialog that was not opened, may be missing.
    """
    by_action: dict[str, dict[str, None]] = {}
    for binding in declared():
        by_action.setdefault(str(binding.id), {}).update(dict.fromkeys(binding.key.split(",")))
    return {action: ",".join(keys) for action, keys in by_action.items()}


def declared(owner: type[DOMNode] = DOMNode) -> Iterator[Binding]:
    """Yield the bindings with an id that this program's imported subclasses of `owner` declare, at any depth."""
    for item in owner.__subclasses__():
        if item.__module__.startswith("aegis_tui."):
            yield from (one for one in item.__dict__.get("BINDINGS", ()) if isinstance(one, Binding) and one.id)
        yield from declared(item)


def _read(action: str, key: str) -> str:
    """Return Textual's name for a key: `!` becomes `exclamation_mark`; a name, also with `ctrl+`, stays as it is.

    Raises:
        UsageError: There is no such key; the message names `action`, whose key it is to be.
    """
    modifiers = _MODIFIERS.match(key)
    rest = key[modifiers.end() :] if modifiers else key
    if len(rest) == 1 and rest.isprintable():
        return key if rest == key and rest.isalnum() else f"{key[: -len(rest)]}{_character_to_key(rest)}"
    if rest in _NAMED or key in _NAMED or _is_character(rest):
        return key
    hint = "a character such as N, or a name such as f5, ctrl+n, question_mark"
    raise UsageError(
        f"[keys] of your settings: {action}: {f'there is no key {key}' if key else 'no key is given'}",
        hint,
        is_certain=True,
    )


def _is_character(name: str) -> bool:
    """Return whether it is a Unicode name of a character in the form that Textual uses, such as `question_mark`."""
    try:
        unicodedata.lookup(name.replace("_", " "))
    except KeyError:
        return False
    return True


def _refuse_clashes(keys: Mapping[str, str], changed: Iterable[str]) -> None:
    for action in changed:
        mine = set(keys[action].split(","))
        for other, theirs in keys.items():
            if other != action and _meet(action, other) and (same := mine & set(theirs.split(","))):
                key = key_word(min(same))
                raise UsageError(
                    f"[keys] of your settings: {key} is already the key of {other}", f"give {other} another key as well"
                )


def _meet(one: str, other: str) -> bool:
    """Return whether two actions, by id, are possible in one place, so that they cannot have the same key.

    The dashboard and the grid of panes are two places. False if one is an action of a dialog, which is another.
    """
    nouns = {one.partition(".")[0], other.partition(".")[0]}
    if nouns & DIALOGS:
        return False
    return "grid" not in nouns or nouns <= {"grid", "instance", *_ANYWHERE}
