"""Partitions that name a submodule, and paths that are one file where git ignores case."""

from __future__ import annotations

import pytest

from aegis_tui.domain.path.letter_case import case_clashes
from aegis_tui.domain.run.rules import parse_design
from aegis_tui.domain.scope.submodule import submodule_issues
from aegis_tui.errors import DesignRefused
from tests.domain.test_core import DESIGN, Hub


@pytest.mark.parametrize(
    ("glob", "is_inside"),
    [
        ("lib/x/**", True),
        ("lib/x", True),
        ("lib/x/src/*.c", True),
        ("lib/{x,y}/a.c", True),
        ("lib/**", False),
        ("lib/*/a.c", False),
        ("lib/xy/**", False),
        ("src/lib/x/a.c", False),
    ],
)
def test_a_glob_that_only_a_submodule_can_match_is_an_issue(glob: str, is_inside: bool) -> None:
    design = parse_design({"goal": "g", "features": [{"id": "a", "title": "A", "brief": "a", "partition": [glob]}]})
    issues = submodule_issues(design, ("lib/x",))
    assert [(item.field, item.witness) for item in issues] == ([("features[0].partition[0]", "lib/x")] * is_inside)


def test_a_run_does_not_start_on_a_design_that_needs_a_submodule() -> None:
    hub = Hub()
    features = [{"id": "a", "title": "A", "brief": "a", "partition": ["lib/x/**"]}]
    with pytest.raises(DesignRefused, match="lies in the submodule lib/x"):
        hub.start({**DESIGN, "features": features}, found={"submodules": ("lib/x",)})


@pytest.mark.parametrize(
    ("fresh", "there", "clashes"),
    [
        (["readme.md"], ["README.md", "readme.md"], [("readme.md", "README.md")]),
        (["src/A.py"], ["src/a.py", "src/A.py"], [("src/A.py", "src/a.py")]),
        (["Src/b.py"], ["src/a.py", "Src/b.py"], [("Src/b.py", "src")]),
        (["stra\u00dfe"], ["STRASSE", "stra\u00dfe"], [("stra\u00dfe", "STRASSE")]),
        (["a.py", "b.py"], ["a.py", "b.py"], []),
        (["src/c.py"], ["src/a.py", "Src/b.py", "src/c.py"], []),
        (["a", "A"], ["a", "A"], [("A", "a"), ("a", "A")]),
        (["cafe\u0301"], ["caf\u00e9", "cafe\u0301"], [("cafe\u0301", "caf\u00e9")]),
    ],
)
def test_new_paths_that_differ_only_in_case_from_others(
    fresh: list[str], there: list[str], clashes: list[tuple[str, str]]
) -> None:
    assert case_clashes(fresh, there) == clashes
