"""Every key of the interface: a unique id, a sentence, and no clash where it holds."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import defaultdict

import pytest
from textual.binding import Binding
from textual.command import CommandPalette
from textual.dom import DOMNode

import aegis_tui.tui
from aegis_tui.errors import UsageError
from aegis_tui.tui.app import AegisApp
from aegis_tui.tui.keys import key_word
from aegis_tui.tui.screens.dashboard import DashboardScreen
from aegis_tui.tui.screens.goal import GoalScreen
from aegis_tui.tui.screens.grid import GridScreen
from aegis_tui.tui.screens.help import HelpScreen
from aegis_tui.tui.screens.keymap import read_keymap
from aegis_tui.tui.widgets.panels import InstancePanel
from aegis_tui.tui.widgets.preview import PanePreview
from tests.tui.conftest import Record
from tests.tui.pilot import ready, screen_text, to_the_end, until


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


@pytest.mark.parametrize(
    ("wanted", "keymap"),
    [
        ({}, {}),
        ({"run.new": "N"}, {"run.new": "N"}),
        ({"run.new": "f5", "view.help": "ctrl+h"}, {"run.new": "f5", "view.help": "ctrl+h"}),
        ({"run.need": ";, ctrl+n"}, {"run.need": "semicolon,ctrl+n"}),
        ({"run.new": "a", "instance.attach": "n"}, {"run.new": "a", "instance.attach": "n"}),
        ({"run.new": "ㅜ"}, {"run.new": "ㅜ"}),
    ],
)
def test_keys_that_a_person_chose_are_read(wanted: dict[str, str], keymap: dict[str, str]) -> None:
    assert read_keymap(wanted)[0] == keymap


def test_a_key_is_named_where_its_action_is_possible() -> None:
    _, names = read_keymap({"panel.next": "N", "instance.send": "S", "grid.back": "B"})
    assert [names[key] for key in ("tab", "s", "esc")] == ["N", "S", "esc"]
    assert [names.grid[key] for key in ("tab", "s", "esc")] == ["tab", "S", "B"]


@pytest.mark.parametrize(
    ("wanted", "words", "hint"),
    [
        ({"run.neww": "N"}, "there is no action run.neww", "did you mean run.new?"),
        ({"": "N"}, "there is no action", "docs/configuration.md lists the actions"),
        ({"confirm.yes": "j"}, "the keys of dialogs are fixed", "remove it"),
        ({"run.new": "superkey"}, "there is no key superkey", "a character such as N"),
        ({"run.new": ""}, "no key is given", "a character such as N"),
        ({"run.new": "a"}, "a is already the key of instance.attach", "give instance.attach another key as well"),
        ({"run.new": "z", "instance.send": "z"}, "z is already the key of", "another key as well"),
        ({"app.theme": "h"}, "h is already the key of", "another key as well"),
    ],
)
def test_a_key_that_cannot_be_is_refused_with_what_helps(wanted: dict[str, str], words: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_keymap(wanted)
    assert words in refused.value.message and hint in refused.value.hint


@to_the_end
async def test_the_persons_own_keys_work_and_every_hint_names_them(record: Record) -> None:
    app = record(nothing=True).app(keys={"run.new": "N", "view.help": "f1", "app.palette": ";"})
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        await until(pilot, lambda: "press N to enter a goal" in screen_text(app))
        assert "f1 for help" in screen_text(app) and "N goal" in screen_text(app)
        await pilot.press("n")
        assert isinstance(app.screen, DashboardScreen)
        await pilot.press("N")
        await until(pilot, lambda: isinstance(app.screen, GoalScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and "N            New goal" in screen_text(app))
        rows = re.findall(r"(Up|Down|First|Last|Page up|Page down|Why)  ", screen_text(app))
        assert rows == ["Up", "Down", "First", "Last", "Page up", "Page down", "Why"], "in the order of the bindings"
        await pilot.press("escape", "semicolon")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette) and "(N)" in screen_text(app))
