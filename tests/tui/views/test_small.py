"""What must not be lost: on a terminal that is too small, before a run began, and while nothing asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aegis_tui.domain.event import Event
from aegis_tui.domain.need import needs
from aegis_tui.domain.qa.check import CheckResult
from aegis_tui.domain.qa.events import QaBaseChecked
from aegis_tui.domain.qa.verdict import compare
from aegis_tui.domain.words import sentence
from aegis_tui.domain.workspace import Workspace
from aegis_tui.tui.text import Line, line_width
from aegis_tui.tui.views.design import design_lines
from aegis_tui.tui.views.explain import explain_stage
from aegis_tui.tui.views.run import quiet_words, stage_spans, title_line
from aegis_tui.tui.views.small import LEAST_HEIGHT, LEAST_WIDTH, is_too_small, small_lines

Record = Callable[..., Any]


def text(lines: list[Line]) -> str:
    return "\n".join("".join(span.text for span in line) for line in lines)


@pytest.mark.parametrize("width", [20, 40, 59])
def test_a_small_terminal_names_what_needs_the_person_and_who_is_at_work(record: Record, width: int) -> None:
    workspace: Workspace = record("proposed").workspace()
    lines = small_lines(workspace, workspace.runs.latest(), needs(workspace), size=(width, 12))
    assert all(line_width(line) <= width for line in lines)
    page = " ".join(text(lines).split())
    assert f"{width}×12 is too small: the dashboard needs 60×16" in page
    assert "⚑ a proposed design waits for your answer press ! to answer" in page
    workspace = record(until=125).workspace()
    lines = small_lines(workspace, workspace.runs.latest(), [], size=(width, 12))
    assert [line.split()[1] for line in text(lines).splitlines() if "w0" in line[:6]] == ["w01", "w02", "w03"]


def test_the_narrowest_view_fits_where_the_dashboard_is_shown() -> None:
    assert is_too_small(40, 12) and is_too_small(200, LEAST_HEIGHT - 1) and is_too_small(LEAST_WIDTH - 1, 60)
    assert not is_too_small(LEAST_WIDTH, LEAST_HEIGHT) and not is_too_small(80, 24)


def test_stages_without_room_are_the_present_one_in_full(record: Record) -> None:
    run = record(until=125).workspace().runs.latest()
    line = stage_spans(run, width=40)
    assert text([line]).rstrip() == " ●MONITORING  4 of 7" and line_width(line) == 40
    assert "DESIGN" in text([stage_spans(None, width=30)])


def test_a_design_shows_what_each_worker_is_told(record: Record) -> None:
    run = record("proposed").workspace().runs.latest()
    assert run is not None and run.proposed is not None
    page = text(design_lines(run.proposed, width=60))
    assert "Briefs" in page and "A receipt of an order as plain text." in page
    assert all(line_width(line) <= 60 for line in design_lines(run.proposed, width=60))


def test_what_was_found_before_the_run_is_a_key_away(record: Record) -> None:
    workspace = record(until=125).workspace()
    run = workspace.runs.latest()
    assert run is not None
    warned = run.model_copy(
        update={
            "facts": run.facts.model_copy(
                update={"warnings": ("the key file can be read by others: chmod 600",), "other_models": ("m2", "m3")}
            )
        }
    )
    assert "⚠ 1" in text([title_line("shop", "main", warned, [], width=60, boundary="closed")])
    page = text(explain_stage(workspace, warned, width=40))
    assert "Found before the run began" in page and "chmod 600" in page and "m2, m3" in page
    assert "⚠" not in text([title_line("shop", "main", run, [], width=60, boundary="closed")])


def test_that_nothing_asks_is_said_with_what_is_waited_for(record: Record) -> None:
    workspace = record(until=125).workspace()
    assert quiet_words(workspace, workspace.runs.latest()).startswith(
        "no question is waiting for you; workers_finished: discounts is working"
    )
    assert quiet_words(Workspace(), None) == "nothing needs you now"


@pytest.mark.parametrize(
    ("result", "kind", "remedy"),
    [
        (CheckResult(status="failed"), "base", "or accept it in the dashboard"),
        (
            CheckResult(status="not_run", reason="pytest is missing", remedy="pip install pytest"),
            "machine",
            "pip install",
        ),
    ],
)
def test_a_base_that_would_shut_the_gate_needs_the_person_while_the_workers_work(
    record: Record, result: CheckResult, kind: str, remedy: str
) -> None:
    workspace: Workspace = record(until=125).workspace()
    check = compare(1, "make", result, result)
    data = QaBaseChecked(run="run1", oid="b", ok=False, checks=(check,), reason=f"make: {check.reason}")
    event = Event(workspace.seq + 1, "hub", "2026-01-01T00:00:00Z", data)
    workspace.evolve(event)
    (need,) = needs(workspace)
    assert need.kind == kind and str(check.reason) in need.words and str(check.reason) in sentence(event)
    lines = explain_stage(workspace, workspace.runs.latest(), width=60)
    assert all(line_width(line) <= 72 for line in lines)
    page = " ".join(text(lines).split())
    assert str(check.reason) in page and remedy in page
