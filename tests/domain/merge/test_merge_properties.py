"""Random edits of random modules by two sides: nothing is lost or doubled, or the merge is refused (GIT-3)."""

from __future__ import annotations

import ast
import re
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from aegis_tui.domain.merge.file import merge_file
from aegis_tui.domain.merge.proof import Versions

pytestmark = pytest.mark.thorough

TOKEN = re.compile(r"\b[a-z]+_[bot]\d+\b")


@dataclass
class Module:
    """A module of which each line or element has a token of its own, so that what is there can be counted."""

    imports: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    table: dict[str, str] = field(default_factory=dict)
    functions: dict[str, list[str]] = field(default_factory=dict)
    methods: dict[str, list[str]] = field(default_factory=dict)

    def text(self) -> str:
        exports = "".join(f'    "{name}",\n' for name in self.exports)
        table = "".join(f'    "{key}": "{value}",\n' for key, value in self.table.items())
        lines = ["import os", f"from package import {', '.join(self.imports)}" if self.imports else "import sys", ""]
        lines += [f"__all__ = [\n{exports}]", f"TABLE = {{\n{table}}}", "", ""]
        for name, body in self.functions.items():
            lines += [f"def {name}():", *(f'    use("{line}")' for line in body), "    return os", "", ""]
        lines += ["class Service:", '    """A service."""', ""]
        for name, body in self.methods.items():
            lines += [f"    def {name}(self):", *(f'        use("{line}")' for line in body), "        return self", ""]
        return "\n".join(lines).rstrip("\n") + "\n"


def tokens(text: str) -> Counter[str]:
    return Counter(TOKEN.findall(text))


@st.composite
def modules(draw: st.DrawFn) -> Module:
    count = st.integers(1, 4)
    bodies = st.integers(0, 3)

    def named(word: str) -> list[str]:
        return [f"{word}_b{at}" for at in range(draw(count))]

    return Module(
        named("imp"),
        named("exp"),
        {key: key.replace("key", "value") for key in named("key")},
        {name: [f"line_b{at}{n}" for n in range(draw(bodies))] for at, name in enumerate(named("fun"))},
        {name: [f"call_b{at}{n}" for n in range(draw(bodies))] for at, name in enumerate(named("met"))},
    )


@st.composite
def edited(draw: st.DrawFn, base: Module, side: str, parts: tuple[str, ...]) -> Module:
    module = deepcopy(base)
    for step in range(draw(st.integers(1, 4))):
        _edit(draw, module, draw(st.sampled_from(parts)), f"{side}{step}")
    return module


def _edit(draw: st.DrawFn, module: Module, part: str, mark: str) -> None:
    place = getattr(module, part)
    at = draw(st.integers(0, len(place)))
    what = draw(st.sampled_from(["add", "remove", "inside"]))
    if isinstance(place, list):
        if what == "remove" and len(place) > 1:
            del place[at % len(place)]
        else:
            place.insert(at, f"{part[:3]}_{mark}")
        return
    names = list(place)
    if what == "remove" and len(names) > 1:
        del place[names[at % len(names)]]
    elif what == "inside" and names and part != "table":
        body = place[names[at % len(names)]]
        inner = draw(st.integers(0, len(body)))
        body[inner : inner + draw(st.integers(0, 1))] = [f"in_{mark}"]
    else:
        names.insert(at, f"{part[:3]}_{mark}")
        fresh = f"val_{mark}" if part == "table" else [f"new_{mark}"]
        setattr(module, part, {name: place.get(name, fresh) for name in names})


PARTS = ("imports", "exports", "table", "functions", "methods")


@st.composite
def edits(draw: st.DrawFn, *, apart: bool) -> tuple[Module, Module, Module]:
    base = draw(modules())
    ours: tuple[str, ...] = PARTS
    theirs: tuple[str, ...] = PARTS
    if apart:
        ours = tuple(draw(st.sets(st.sampled_from(PARTS), min_size=1, max_size=4)))
        theirs = tuple(part for part in PARTS if part not in ours)
    return base, draw(edited(base, "o", ours)), draw(edited(base, "t", theirs))


def expected(base: str, ours: str, theirs: str) -> Counter[str]:
    """What is there after the changes of both: what both kept, and what either added."""
    old, mine, other = tokens(base), tokens(ours), tokens(theirs)
    counts = {token: mine[token] + other[token] - old[token] for token in old | mine | other}
    return Counter({token: count for token, count in counts.items() if count > 0})


@given(edits(apart=False))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_line_that_a_side_added_is_there_once_and_every_removed_one_is_gone(
    made: tuple[Module, Module, Module],
) -> None:
    base, ours, theirs = (module.text() for module in made)
    merge = merge_file("src/module.py", Versions(base, ours, theirs), None)
    if merge.text is None:
        assert merge.reason
        return
    ast.parse(merge.text)
    assert tokens(merge.text) == expected(base, ours, theirs)


@given(edits(apart=True))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_changes_of_different_parts_of_a_module_are_always_merged_and_proven(
    made: tuple[Module, Module, Module],
) -> None:
    base, ours, theirs = (module.text() for module in made)
    assume(base not in (ours, theirs))
    merge = merge_file("src/module.py", Versions(base, ours, theirs), None)
    assert merge.label == "proven", merge.reason


@given(edits(apart=False))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_same_versions_always_give_the_same_merge(made: tuple[Module, Module, Module]) -> None:
    versions = Versions(*(module.text() for module in made))
    assert merge_file("a.py", versions, None) == merge_file("a.py", versions, None)


@given(edits(apart=False))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_side_that_changed_nothing_leaves_the_file_to_the_other(made: tuple[Module, Module, Module]) -> None:
    base, ours, _ = (module.text() for module in made)
    assert merge_file("a.py", Versions(base, ours, base), None).text == ours
    assert merge_file("a.py", Versions(base, base, ours), None).text == ours
    assert merge_file("a.py", Versions(base, ours, ours), None).text == ours


@given(edits(apart=False), st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_check_notices_each_lost_and_each_doubled_line(
    made: tuple[Module, Module, Module], data: st.DataObject
) -> None:
    """The check alone, on a merge that was spoilt afterwards."""
    base, ours, theirs = (module.text() for module in made)
    merge = merge_file("a.py", Versions(base, ours, theirs), None)
    assume(merge.text is not None)
    assert merge.text is not None
    lines = merge.text.split("\n")
    marked = [at for at, line in enumerate(lines) if 'use("' in line or line.startswith('    "')]
    assume(marked)
    at = data.draw(st.sampled_from(marked))
    for spoilt in ([*lines[:at], *lines[at + 1 :]], [*lines[: at + 1], *lines[at:]]):
        again = merge_file("a.py", Versions(base, ours, theirs), "\n".join(spoilt))
        assert again.label != "proven", lines[at]
