"""Which kind of agent builds a feature: the one that the design names, else the one of the run (FLOW-5)."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.domain.effort import Effort
from aegis_tui.domain.run.events import RunFacts
from aegis_tui.domain.run.rules import checked_design
from aegis_tui.errors import DesignRefused

FACTS = RunFacts(
    workspace="k", base_oid="0" * 40, base_branch="main", qa_commands=("true",), kinds=("native", "parrot")
)


def design(**kinds: str | None) -> dict[str, Any]:
    features = [
        {"id": name, "title": name, "brief": "x", "partition": [f"src/{name}/**"], **({"kind": kind} if kind else {})}
        for name, kind in kinds.items()
    ]
    return {"goal": "g", "features": features}


def test_a_feature_without_a_kind_is_built_by_the_kind_of_the_run() -> None:
    found = checked_design(design(a=None, b="native", c="parrot"), FACTS, Effort(), kind="parrot")
    assert [feature.kind for feature in found.features] == ["parrot", "native", "parrot"]
    assert checked_design(design(a=None), FACTS, Effort()).features[0].kind == "native"


def test_a_kind_that_is_not_installed_is_refused_by_name() -> None:
    with pytest.raises(DesignRefused, match=r"unknown kind 'parot', did you mean 'parrot'\?|unknown kind 'parot'"):
        checked_design(design(a="parot"), FACTS, Effort())
