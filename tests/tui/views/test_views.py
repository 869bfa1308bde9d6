from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

import pytest

from aegis_tui.application.design import parse_design
from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.belief import SourceReading, of_hub
from aegis_tui.domain.instance.events import AgentJoined
from aegis_tui.domain.need import needs
from aegis_tui.domain.piece.model import PieceConflict
from aegis_tui.domain.run.design import Design
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.run.report_model import Report
from aegis_tui.domain.wire.gateway import ModelMetrics
from aegis_tui.domain.words import sentence
from aegis_tui.tui.text import Line, line_width
from aegis_tui.tui.views.conflict import conflict_lines, conflict_rows, parse_hunks
from aegis_tui.tui.views.design import design_lines, graph_lines
from aegis_tui.tui.views.event import event_line
from aegis_tui.tui.views.explain import explain_instance, explain_lock, explain_partition, explain_piece, explain_stage
from aegis_tui.tui.views.instance import instance_rows
from aegis_tui.tui.views.lock import lock_rows, partition_rows
from aegis_tui.tui.views.report import merge_command, report_lines
from aegis_tui.tui.views.run import gate_line, meter_line, piece_rows, stage_spans, title_line

Record = Callable[..., Any]
AT = "2026-01-01T00:00:00Z"
NOW = datetime.fromisoformat(AT)


def text(lines: list[Line]) -> str:
    return "\n".join("".join(span.text for span in line) for line in lines)


CLASH = """<<<<<<< ours
from shop import catalog, discounts
||||||| base
from shop import catalog
=======
from shop import catalog, \x1b]0;wishlist
>>>>>>> theirs
kept
<<<<<<< ours
a
=======
b
>>>>>>> theirs
"""


def clash(**changes: object) -> PieceConflict:
    fields = {
        "conflict_id": "c",
        "a": "discounts",
        "b": "wishlist",
        "path": "src/shop/routes.py",
        "kind": "hot",
        "base": None,
        "ours": None,
        "theirs": None,
        "hunks": 2,
        "text": CLASH,
    }
    return PieceConflict.model_validate({**fields, **changes})


def test_fields_of_an_event_are_shown_in_words_and_not_as_a_program_writes_them() -> None:
    data = AgentJoined(agent_type="NATIVE", role="worker", partition=("src/**", "tests/**"), session="s1")
    words = sentence(Event(1, "NATIVE-w01", "2026-01-01T00:00:00Z", data))
    assert "partition src/** tests/**" in words and not set("[]{}'=") & set(words)


def test_the_stages_fit_80_columns_and_say_where_the_run_is(record: Record) -> None:
    run = record(until=125).workspace().runs.latest()
    line = stage_spans(run, width=80)
    assert line_width(line) <= 80
    assert "●MONITORING" in text([line]) and "✓DISPATCH" in text([line]) and "·DONE" in text([line])


def test_the_scripted_badge_is_there_at_any_width_and_all_the_time(record: Record) -> None:
    for until in (1, 125, 100_000):
        run = record(until=until).workspace().runs.latest()
        for width in (60, 80, 160):
            line = title_line("shop", "main", run, [], width=width, boundary="closed")
            assert " scripted " in text([line])
            assert line_width(line) == width


def test_a_closed_gate_says_what_is_not_met_and_a_need_goes_before_it(record: Record) -> None:
    workspace = record(until=125).workspace()
    line = gate_line(workspace, workspace.runs.latest(), [], width=120)
    assert "workers_finished" in text([line]) and "discounts is working" in text([line])
    proposed = record("proposed").workspace()
    found = needs(proposed)
    assert [need.kind for need in found] == ["design"]
    assert "press !" in text([gate_line(proposed, proposed.runs.latest(), found, width=120)])


def test_the_gates_of_a_stage_name_the_command_that_would_meet_them(record: Record) -> None:
    workspace = record(until=125).workspace()
    page = text(explain_stage(workspace, workspace.runs.latest()))
    assert "workers_finished  closed" in page and "aegis-tui status" not in page


def test_locks_show_their_waiters_and_partitions_their_rules(record: Record) -> None:
    scene = record(until=125)
    workspace = scene.workspace()
    shown = text([row.line for row in lock_rows(workspace, now=scene.now, width=40)])
    assert "X src/shop/routes.py" in shown and "↳ w02 waits" in shown
    rows = partition_rows(workspace, workspace.runs.latest(), width=60)
    shown = text([row.line for row in rows])
    assert "w01" in shown and "joint" in shown and "read-only" in shown
    assert len({row.key for row in rows}) == len(rows)


def test_an_explanation_says_what_a_state_rests_on(record: Record) -> None:
    scene = record(until=125)
    workspace = scene.workspace()
    item = workspace.instances.by_id["NATIVE-w02"]
    page = text(explain_instance(workspace, item, scene.events, now=scene.now, width=100))
    assert "reported by the agent itself" in page
    assert "held by w01" in page and "src/shop/routes.py" in page
    lock = workspace.locks.locks()[0]
    assert "w02, at most" in text(explain_lock(workspace, lock.lock_id, now=scene.now))
    run = workspace.runs.latest()
    assert run is not None
    assert "APPROVED" in text(explain_piece(run, "search"))
    assert "src/shop/{catalog,search}.py" in text(explain_partition(workspace, run, "NATIVE-w03"))


def test_an_explanation_shows_what_each_source_says_now_and_what_is_unknown(record: Record) -> None:
    scene = record(until=125)
    workspace = scene.workspace()
    item = workspace.instances.by_id["NATIVE-w02"]
    gone = [of_hub(answers=True), SourceReading("process", "ended", "its pane is gone\x1b")]
    page = text(explain_instance(workspace, item, scene.events, now=scene.now, width=100, readings=gone))
    assert page.startswith("? unknown   worker")
    assert "because  its pane is gone\ufffd, and the hub has not recorded that" in page
    assert "source  inferred from its process" in page
    assert "asked now  hub: running, the hub answers\n" in page and "process: ended, its pane is gone\ufffd" in page
    asks = [of_hub(answers=True), SourceReading("screen", "asking", "Do you want to proceed?")]
    item.state = "implementing"
    page = text(explain_instance(workspace, item, scene.events, now=scene.now, width=100, readings=asks))
    assert page.startswith("⚑ asking   worker") and "by a rule" in page and "because  Do you want to proceed?" in page
    works = [of_hub(answers=False), SourceReading("screen", "running", "esc to interrupt")]
    page = text(explain_instance(workspace, item, scene.events, now=scene.now, width=100, readings=works))
    assert page.startswith("● running   worker") and "since  not known" in page


def test_the_page_of_an_instance_says_what_checks_its_writes_and_what_does_not(record: Record) -> None:
    scene = record(until=125)
    workspace = scene.workspace()
    item = workspace.instances.by_id["NATIVE-w02"]
    assert "checked by" not in text(explain_instance(workspace, item, scene.events, now=scene.now, width=70))
    item.write_checks = "sandbox, commit hook; no guard: writes outside the partition are refused at the commit\x1b"
    page = text(explain_instance(workspace, item, scene.events, now=scene.now, width=70))
    assert (
        "  checked by  sandbox, commit hook; no guard: writes outside the\n"
        "              partition are refused at the commit\ufffd\n" in page
    )


def test_hunks_are_read_with_and_without_a_base() -> None:
    first, second = parse_hunks(CLASH)
    assert first.base == ["from shop import catalog"]
    assert (second.ours, second.base, second.theirs) == (["a"], [], ["b"])


def run_at(record: Record, until: int) -> Run:
    run: Run | None = record(until=until).workspace().runs.latest()
    assert run is not None
    return run


@pytest.mark.parametrize("width", [60, 108, 150])
def test_a_conflict_shows_both_sides_whole_and_inert(record: Record, width: int) -> None:
    lines = conflict_lines(clash(), run_at(record, 100_000), width=width)
    assert all(line_width(line) <= width for line in lines)
    assert "goes back to its worker, which rebases it on the merged work" in " ".join(text(lines).split())
    shown = "".join(text(lines).split())
    assert "discounts" in shown and "�]0;wish" in shown and "\x1b" not in shown
    assert ("│" in shown) is (width >= 106)


def test_a_conflict_of_two_that_still_work_names_nobody_who_has_to_rebase(record: Record) -> None:
    run = run_at(record, 125)
    page = text(conflict_lines(clash(), run, width=150))
    assert "the piece that is merged second" in page and "discounts (working)" in page and "(merged)" not in page
    assert "gone: the two do not change" in text(conflict_lines(clash(resolution="none"), run, width=150))
    assert "not text on one side" in text(conflict_lines(clash(text="", hunks=0), run, width=150))
    assert "merge cleanly here" in text(conflict_lines(clash(kind="soft", text=""), run, width=150))
    solved = clash(kind="soft", text="", label="proven", strategy="structure")
    assert "it will be merged (by structure, proven)" in text(conflict_lines(solved, run, width=150))
    settled = clash(resolution="rebased", label="verified", strategy="agent", reason="QA passed on tree 1234")
    page = text(conflict_lines(settled, run, width=150))
    assert "settled: rebased, by an agent, verified: QA passed on tree 1234" in page
    refused = clash(label="refused", reason="both sides change function f")
    assert "both sides change function f" in text(conflict_lines(refused, run, width=150))


def test_the_words_that_differ_are_the_coloured_ones(record: Record) -> None:
    lines = conflict_lines(clash(), run_at(record, 100_000), width=60)
    inked = {span.text: span.ink for line in lines for span in line}
    assert inked["discounts"] == "good" and inked["catalog"] == "text"


def test_open_conflicts_come_before_settled_ones(record: Record) -> None:
    run = record().workspace().runs.latest()
    assert run is not None
    run.conflicts["z"] = clash(conflict_id="z")
    rows = conflict_rows(run, width=70)
    assert rows[0].key == "z" and "rebased" in text([rows[-1].line])
    assert {line_width(row.line) for row in rows} == {70}


def test_pieces_say_what_they_wait_for(record: Record) -> None:
    run = record(until=125).workspace().runs.latest()
    assert "after discounts" in text([row.line for row in piece_rows(run, width=60)])


def test_an_agent_from_outside_is_shown_by_its_whole_name(record: Record) -> None:
    """It chose its id itself; the first four letters of two may be the same."""
    workspace = record(until=125).workspace()
    run = workspace.runs.latest()
    item = next(iter(workspace.instances.by_id.values()))
    for at, name in enumerate(("frontend", "fronted2")):
        other = {"agent_id": f"CODEX-{name}", "instance_id": name, "run": None, "phase": "joined"}
        workspace.instances.by_id[f"{at}"] = item.model_copy(update=other)
    head, rows = instance_rows(workspace, run, now=NOW, width=80)
    assert {line_width(row.line) for row in rows} == {line_width(head)}
    page = text([row.line for row in rows])
    assert "frontend " in page and "fronted2 " in page
    joined = AgentJoined(agent_type="CODEX", role="worker", partition=(), session="s1")
    assert "frontend agent:joined" in text([event_line(Event(1, "CODEX-frontend", AT, joined), width=80)])


@pytest.mark.parametrize("width", [40, 57, 80, 120])
def test_every_event_fits_its_line(record: Record, width: int) -> None:
    lines = [event_line(event, width=width) for event in record().events]
    assert {line_width(line) for line in lines} <= set(range(width - 8, width + 1))


def test_the_report_has_the_commit_the_rounds_and_the_next_command(record: Record) -> None:
    report = record().events[-1].data.model_dump()["report"]
    for width in (66, 100):
        page = text(report_lines(report, width=width))
        assert "git merge --ff-only aegis/run1/result" in page
        assert "2 rounds" in page and "1 failed" in page and "0 failed" in page
        assert "Conflict discounts × wishlist" in page and "scripted" in page
        for stage in ("DESIGN", "FOUNDATION", "DISPATCH", "MONITORING", "INTEGRATE", "FINAL-QA", "DONE"):
            assert stage in page
    assert merge_command(cast(Report, {**report, "commit": None})) == ""


def test_a_report_names_what_is_left_out_why_and_where_it_is_kept(record: Record) -> None:
    report = record().events[-1].data.model_dump()["report"]
    left = [
        {
            "piece": "wishlist",
            "reason": "QA fails with it:\x1b[31m tests.test_a",
            "ref": "refs/aegis/runs/run1/wishlist",
        },
        {"piece": "search", "reason": "it builds on wishlist, which is left out", "ref": None},
    ]
    for width in (66, 100):
        lines = report_lines(cast(Report, {**report, "left_out": left}), width=width)
        page = text(lines)
        assert "left out: wishlist" in page and "left out: search" in page and "\x1b" not in page
        assert "kept in refs/aegis/runs/run1/wishlist" in page and page.count("kept in") == 1
        mine = [line for line in lines if any(words in text([line]) for words in ("left out", "kept in", "QA fails"))]
        assert len(mine) == 5 and all(line_width(line) <= width for line in mine)


def test_a_report_cuts_no_words_of_conflicts_reviews_and_merged_files(record: Record) -> None:
    report = record().events[-1].data.model_dump()["report"]
    place = "src/shop/a/folder/with/a/long/name/routes.py"
    conflict = report["conflicts"][0] | {"path": place, "resolution": "rebased by an\x1b[31m agent that was told why"}
    merged = [{"piece": "wishlist", "path": place, "label": "agent", "strategy": None}]
    review = {"piece": "a-piece-with-a-long-name", "verdict": "CHANGES_REQUESTED", "findings": []}
    changed = {**report, "conflicts": [conflict], "merged": merged, "reviews": [review]}
    lines = report_lines(cast(Report, changed), width=66)
    words = " ".join(text(lines[-12:]).split())
    assert "agent that was told why" in words and words.count(place) == 2 and "0 findings" in words
    assert "\x1b" not in words and all(line_width(line) <= 66 for line in lines[-12:])


def test_a_report_names_a_new_failure_once(record: Record) -> None:
    report = record().events[-1].data.model_dump()["report"]
    check = report["qa"][0] | {"new_failures": ["test_a", "test_b"]}
    for reason, names in (("1 new failure: test_a", ["test_a", "test_b"]), ("2 new failures", ["test_a", "test_b"])):
        page = text(report_lines(cast(Report, {**report, "qa": [check | {"reason": reason}]}), width=100))
        assert reason in page and [page.count(name) for name in names] == [1, 1]


def test_a_design_is_drawn_in_an_order_that_can_be_worked_in(record: Record) -> None:
    run = record().workspace().runs.latest()
    assert run is not None and run.design is not None
    page = text(design_lines(run.design, width=90))
    assert page.index("discounts") < page.index("report  after discounts")
    assert "any worker, under a lock" in page
    graph = text(graph_lines(run.design, width=90)).splitlines()
    report = next(at for at, line in enumerate(graph) if "report" in line)
    assert "discounts" in graph[report - 1]
    assert len(graph) == 5


def test_a_cycle_is_told_instead_of_drawn() -> None:
    fields = [
        {"id": name, "title": name, "brief": name, "partition": [f"{name}/**"], "depends_on": [other]}
        for name, other in (("a", "b"), ("b", "a"))
    ]
    design = Design.model_validate({"goal": "x", "features": fields})
    assert "cycle" in text(graph_lines(design, width=60))


def test_a_long_chain_keeps_each_feature_under_what_it_stands_on() -> None:
    text_of = "goal: g\nfeatures:\n" + "".join(
        f"  - {{id: f{n}, title: t, brief: b, partition: ['f{n}/**'], depends_on: [{f'f{n - 1}' if n else ''}]}}\n"
        for n in range(6)
    )
    lines = text(graph_lines(parse_design(text_of), width=80)).splitlines()
    assert [line.split("● ")[1].split()[0] for line in lines] == [f"f{n}" for n in range(6)]


def test_no_model_server_is_told_calmly_and_meters_are_whole_words() -> None:
    assert text([meter_line(None, scripted=False, model=None, absent="none", width=40)]).strip() == "none"
    known = "no server answers ─ start one: aegis-tui vllm start MODEL"
    for width, words in ((40, "no server answers"), (80, known)):
        assert text([meter_line(None, scripted=False, model=None, absent=known, width=width)]).strip() == words
    meters: ModelMetrics = {
        "running": 3,
        "waiting": 1,
        "kv_cache": 0.41,
        "prefix_hit_rate": 0.93,
        "tokens_per_s": 812.0,
        "ttft_s": 0.21,
    }
    for width in (30, 50, 80, 120):
        line = meter_line(meters, scripted=False, model="qwen3-coder", absent="", width=width)
        assert line_width(line) <= width
        assert not text([line]).rstrip().endswith("812")


def test_a_report_names_unknown_names_and_the_advice_that_was_given(record: Record) -> None:
    report = record().events[-1].data.model_dump()["report"]
    quality = {"names_used": 40, "names_unknown": 2, "unknown_name_rate": 0.05, "first_pass_qa_rate": 0.75}
    advice = [{"failure": "run1-7", "line": "cart was sent back:\x1b[31m wrong total", "reason": "similar"}]
    instances = [{**report["instances"][0], "advice": advice}]
    lines = report_lines(cast(Report, {**report, "quality": quality, "instances": instances}), width=100)
    page = text(lines)
    words = "2 of 40 names in submitted code are undefined (5.0%); 75% of the pieces passed the first round of QA"
    assert words in " ".join(page.split())
    assert "was told of the earlier failure run1-7: cart was sent back:" in page and "\x1b" not in page
    assert all(line_width(line) <= 100 for line in lines)
    narrow = report_lines(cast(Report, {**report, "quality": quality, "instances": instances}), width=40)
    assert "wrong total" in text(narrow) and "first round of QA" in " ".join(text(narrow).split())
    assert "unknown" not in text(report_lines(cast(Report, report), width=100))
