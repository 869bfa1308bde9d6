"""What a large or hostile design costs the hub is bounded beyond its globs: names, dependencies, what is at work."""

from __future__ import annotations

import difflib
from typing import Any

import pytest

from aegis_tui.domain.effort import MOST_STEPS, Effort
from aegis_tui.domain.run.design import MOST_FEATURES, MOST_ISSUES, Design, check_design, topological
from aegis_tui.domain.run.events import RunFacts
from aegis_tui.domain.run.rules import checked_design, parse_design
from aegis_tui.domain.scope import submodule
from aegis_tui.domain.scope.reservation import check_designed
from aegis_tui.errors import DesignRefused


def feature(number: int, *needs: str, globs: tuple[str, ...] = ()) -> dict[str, Any]:
    name = f"f{number}"
    return {"id": name, "title": "t", "brief": "b", "partition": globs or (f"src/{name}/**",), "depends_on": needs}


def design(*features: dict[str, Any]) -> dict[str, Any]:
    return {"goal": "g", "features": features, "qa": {"commands": ["true"]}}


def facts(*submodules: str) -> RunFacts:
    return RunFacts(workspace="/w", base_oid="a" * 40, base_branch="main", qa_commands=("true",), submodules=submodules)


def test_a_design_has_a_highest_number_of_features() -> None:
    with pytest.raises(DesignRefused, match="features: "):
        parse_design(design(*(feature(number) for number in range(MOST_FEATURES + 1))))


def test_a_chain_that_all_depend_on_is_ordered_and_its_knot_is_named() -> None:
    chain = [feature(number, *(f"f{earlier}" for earlier in range(number))) for number in range(300)]
    fine = Design.model_validate(design(*chain))
    assert topological(fine.features)[-1] == "f299" and not check_design(fine)
    knotted = Design.model_validate(design({**chain[0], "depends_on": ("f299",)}, *chain[1:]))
    (issue,) = check_design(knotted)
    assert issue.message == "the dependencies form a cycle: f0 -> f299 -> f0"


def test_the_nearest_name_is_looked_for_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = difflib.get_close_matches

    def noting(word: str, known: list[str], n: int) -> list[str]:
        asked.append(word)
        return real(word, known, n=n)

    monkeypatch.setattr("aegis_tui.domain.run.design.difflib.get_close_matches", noting)
    unknown = [f"g{number}" for number in range(400)]
    issues = check_design(Design.model_validate(design(feature(1), feature(2, *unknown))))
    assert len(asked) < 10 and len(issues) == MOST_ISSUES
    assert issues[0].message == "there is no feature 'g0'"


def test_fifty_features_are_agreed_to_beside_fifty_instances_at_work() -> None:
    globs = ("src/{0}/**", "tests/test_{0}.py", "docs/{0}.md", "web/{0}/*.js")
    wanted = [feature(n, globs=tuple(text.format(f"new{n}") for text in globs)) for n in range(50)]
    taken = {f"NATIVE-{n}": tuple(text.format(f"old{n}") for text in globs) for n in range(50)}
    effort = Effort()
    parsed = Design.model_validate(design(*wanted))
    assert not check_design(parsed, effort=effort)
    check_designed(taken, parsed, effort, ignore_case=False)
    assert effort.left > MOST_STEPS // 10
    taken["NATIVE-7"] = (*taken["NATIVE-7"], "src/new3/a.py")
    with pytest.raises(DesignRefused, match=r"'src/new3/\*\*' of f3 overlaps 'src/new3/a.py' of NATIVE-7"):
        check_designed(taken, parsed, Effort(), ignore_case=False)


def test_a_design_that_is_refused_is_not_read_again_for_submodules(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(submodule, "compile_glob", lambda text, **_: compiled.append(text))
    costly = "{a,b,c,d}{a*,b?,c,d}{a,b,c,d}{a,b*,c,d}"
    hostile = [feature(n, globs=tuple(f"{costly}{n}-{m}" for m in range(8))) for n in range(8)]
    with pytest.raises(DesignRefused, match="simplify: fewer wildcards"):
        checked_design(design(*hostile), facts("lib"), Effort())
    assert not compiled
