"""What a person who follows a run reads of it."""

from __future__ import annotations

import pytest

from aegis_tui.cli.narrate import narrate
from aegis_tui.cli.status import _run_lines
from aegis_tui.domain.context import snapshot_view
from aegis_tui.domain.qa.check import CheckResult
from aegis_tui.domain.qa.events import QaBaseChecked
from aegis_tui.domain.qa.verdict import compare
from aegis_tui.domain.run.events import RunFacts, RunOptions, RunStarted
from aegis_tui.domain.workspace import Workspace

NAMELESS = CheckResult(status="failed")
MISSING = CheckResult(status="not_run", reason="pytest is missing", remedy="pip install pytest")


def base_of(result: CheckResult) -> QaBaseChecked:
    check = compare(1, "make", result, result)
    return QaBaseChecked(run="run1", oid="b" * 40, ok=False, checks=(check,), reason=f"make: {check.reason}")


@pytest.mark.parametrize(
    ("base", "reason", "remedy"),
    [
        (
            NAMELESS,
            "neither output names or counts the failures",
            "aegis-tui qa --accept-base-failures, or accept it in",
        ),
        (MISSING, "pytest is missing", "pip install pytest"),
    ],
)
def test_a_base_that_would_shut_the_gate_is_told_with_its_remedy_before_the_work_ends(
    base: CheckResult, reason: str, remedy: str
) -> None:
    data = base_of(base)
    words = narrate(
        {
            "v": 1,
            "seq": 1,
            "type": data.type,
            "agent_id": "hub",
            "timestamp": "2026-01-01T00:00:00Z",
            "data": data.model_dump(mode="json", exclude={"type"}),
        }
    )
    assert words is not None and "would keep the QA gate closed" in words and reason in words and remedy in words
    workspace = Workspace()
    facts = RunFacts(workspace="k", base_oid="b" * 40, base_branch="main")
    workspace.runs.evolve("person", RunStarted(run="run1", goal="g", options=RunOptions(), facts=facts))
    workspace.runs.evolve("hub", data)
    state = snapshot_view(workspace)
    assert state["run"] is not None
    page = "\n".join(_run_lines(state["run"], state["progress"]))
    assert reason in page and remedy in page
