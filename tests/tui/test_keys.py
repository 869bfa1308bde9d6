"""Every key of the interface: a unique id, a sentence, and no clash where it holds."""

from __future__ import annotations

import importlib
import pkgutil
from collections import defaultdict

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

import aegis_tui.tui
from aegis_tui.tui.app import AegisApp
from aegis_tui.tui.screens.dashboard import DashboardScreen
from aegis_tui.tui.screens.grid import GridScreen
from aegis_tui.tui.screens.help import key_word
from aegis_tui.tui.widgets.panels import InstancePanel
from aegis_tui.tui.widgets.preview import PanePreview


def owners() -> dict[str, type[DOMNode]]:
    found: dict[str, type[DOMNode]] = {}
    for module in pkgutil.walk_packages(aegis_tui.tui.__path__, "aegis_tui.tui."):
        for item in vars(importlib.import_module(module.name)).values():
            if isinstance(item, type) and issubclass(item, DOMNode) and item.__module__.startswith("aegis_tui"):
                found[f"{item.__module__}.{item.__name__}"] = item
    return found


def own(owner: type[DOMNode]) -> list[Binding]:
    return [item for item in owner.__dict__.get("BINDINGS", ()) if isinstance(item, Binding)]


OWNERS = owners()


def test_ids_are_unique_and_every_key_says_what_it_does() -> None:
    where: dict[str, set[str]] = defaultdict(set)
    for name, owner in OWNERS.items():
        for binding in own(owner):
            assert binding.id and binding.id.count(".") == 1, (name, binding.key)
            assert binding.tooltip.endswith("."), (name, binding.key)
            assert binding.description, (name, binding.key)
            where[f"{binding.id} {binding.key}"].add(name)
    assert {key: names for key, names in where.items() if len(names) > 1} == {}


@pytest.mark.parametrize("scope", [(InstancePanel, DashboardScreen, AegisApp), (PanePreview, GridScreen, AegisApp)])
def test_no_key_means_two_things_in_one_place(scope: tuple[type[DOMNode], ...]) -> None:
    for owner in scope:
        seen: dict[str, str] = {}
        for kind in owner.__mro__:
            if not kind.__module__.startswith("aegis_tui") or not issubclass(kind, DOMNode):
                continue
            for binding in own(kind):
                for key in binding.key.split(","):
                    known = seen.setdefault(key, str(binding.id))
                    overrides = kind is not owner
                    assert known == binding.id or overrides, (owner.__name__, key, known, binding.id)


def test_the_keys_of_the_contract_are_there() -> None:
    keys = {key for owner in OWNERS.values() for binding in own(owner) for key in binding.key.split(",")}
    wanted = {"n", "d", "a", "A", "s", "x", "space", "slash", "exclamation_mark", "g", "G", "tab", "shift+tab"}
    wanted |= {"h", "j", "k", "l", "up", "down", "question_mark", "colon", "ctrl+p", "escape", "q", "enter", "r"}
    assert wanted <= keys


def test_keys_are_shown_as_they_are_printed() -> None:
    names = ("slash", "question_mark", "ctrl+s", "shift+tab", "n")
    assert [key_word(key) for key in names] == [
        "/",
        "?",
        "^s",
        "⇧tab",
        "n",
    ]
