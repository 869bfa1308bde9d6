"""`status` and `report`: the current state of a run, and its outcome."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import Place, here
from aegis_tui.domain.boundary import allowed_words, boundary_word
from aegis_tui.domain.count import listed
from aegis_tui.errors import HubUnavailable, UsageError

if TYPE_CHECKING:
    from aegis_tui.domain.run.report_model import BoundaryReport, Report
    from aegis_tui.domain.wire.context import SharedContext
    from aegis_tui.domain.wire.instance import InstanceView
    from aegis_tui.domain.wire.lock import HeldLock
    from aegis_tui.domain.wire.output import ProcessUsageFields, StatusOutput
    from aegis_tui.domain.wire.reply import SpecProblemFields
    from aegis_tui.domain.wire.run import MergeProgress, RunView

LEAST_WIDTH = 40

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


def _status(as_json: AsJson = False) -> int:
    """Show the stage, instances, locks and partitions of the current run.

    If no hub is running, the last state in the log is shown; none is started. Exit code 5 if there is no log either, or
    if a hub is running and does not answer; 1 if the log is damaged.
    """
    place = here()
    state, is_live = _state(place)
    boundary = _boundary(state, place)
    run = state["run"]
    living = [item for item in state["instances"] if item["phase"] != "reclaimed"]
    fields: StatusOutput = {
        "run": run["run"] if run else None,
        "state": _run_state(run) if run else None,
        "stage": run["stage"] if run else None,
        "boundary": boundary,
        "reason": run["error"].get("message") if run and run["error"] else None,
        "gates": run["gates"] if run else [],
        "base_qa": run["base_qa"] if run else None,
        "instances": living,
        "locks": [cast("HeldLock", {"path": name, **lock}) for name, lock in state["locks"].items()],
        "partitions": [{"agent_id": name, "globs": globs} for name, globs in state["partitions"].items()],
        "progress": state["progress"],
        "hub": is_live,
        "waiting_specs": _waiting_specs(state),
        "usage": _usage(place, living),
    }
    if not is_live:
        left = "this is the last state in the log; aegis-tui runs lists the runs that have ended"
        output.talk(f"no hub is running: {left if run else 'the first run starts one'}")
    output.result(fields, as_json=as_json, lines=_lines(state, living, boundary))
    return 0


def _usage(place: Place, living: list[InstanceView]) -> list[ProcessUsageFields]:
    """Return what the processes of the instances use now; those without a process are left out."""
    from aegis_tui.bootstrap.usage import read_usage

    pids = {item["instance_id"]: item["pid"] for item in living if item["pid"] is not None}
    usages = read_usage(place.paths.key, pids.items()) if pids else {}
    names = {item["instance_id"]: item["agent_id"] for item in living}
    return [
        {
            "agent_id": names[name],
            "processes": usage.processes,
            "memory_bytes": usage.memory_bytes,
            "cpu_s": round(usage.cpu_s, 2),
        }
        for name, usage in usages.items()
    ]


def _boundary(state: SharedContext, place: Place) -> BoundaryReport:
    """Return the boundary of the run in `state`; without one, that of the settings, of which no level is known yet.

    Raises:
        UsageError: There is no run, and a setting is wrong.
    """
    from aegis_tui.config import load_settings

    if (run := state["run"]) is not None and "boundary" in run:  # an older hub names none
        return run["boundary"]
    settings = load_settings(os.environ, project=place.root)
    allowed = {kind: list(addresses) for kind, addresses in settings.boundary.items()}
    level = "none" if settings.sandbox == "off" else ""
    return {"level": level, "layers": {}, "allowed": allowed, "word": boundary_word(level, allowed)}


def _state(place: Place) -> tuple[SharedContext, bool]:
    """Return the state that all agents may see (`SharedContext`, contract 6), and whether it comes from a running hub.

    Without a hub it is computed from the log.

    Raises:
        HubUnavailable: A hub is running and does not answer, or there is no hub and no log.
        StoreError: The log is damaged, or cannot be read.
    """
    from aegis_tui.sdk.discovery import find_process

    if place.find() is not None or find_process(place.paths) is not None:
        return place.hub().context(), True
    if not place.paths.log_db.exists():
        raise HubUnavailable("no hub has ever been started for this repository", "start a run: aegis-tui run GOAL")
    from aegis_tui.bootstrap.log import log_reader
    from aegis_tui.domain.context import snapshot_view

    return snapshot_view(log_reader(place.paths).workspace(), key=place.paths.key, now=0.0), False


def _lines(state: SharedContext, living: list[InstanceView], boundary: BoundaryReport) -> Iterator[str]:
    run = state["run"]
    if run is None:
        yield "no run yet; start one: aegis-tui run GOAL"
    else:
        yield from _run_lines(run, state["progress"])
    words = "; ".join(allowed_words(boundary["allowed"])) if boundary["level"] != "none" else ""
    yield f"boundary: {boundary['word']}{f': {words}' if words else ''}"
    rows = [[i["agent_id"], i["role"], i["piece"] or "", _state_of(i), f"{i['progress']:.0%}"] for i in living]
    yield from output.table(rows)
    for item in living:
        if names := item.get("blocked_names"):
            yield f"{item['agent_id']}: name lookups refused: {listed(names)}"
    for spec in _waiting_specs(state):
        yield f"{spec['spec']} cannot be started: {spec['reason']}"
    for name, lock in state["locks"].items():
        yield f"lock {name} {lock['lock_type']} {lock['agent_id']} {lock['expires_in_s']:.0f} s"


def _waiting_specs(state: SharedContext) -> list[SpecProblemFields]:
    reasons = {name: spec.get("waits", "") for name, spec in state["specs"].items()}  # an older hub names none
    return [{"spec": name, "reason": reason} for name, reason in reasons.items() if reason]


def _state_of(instance: InstanceView) -> str:
    from aegis_tui.application.when import state_words

    return state_words(instance["word"], instance.get("until") if instance["word"] == instance["state"] else None)


def _run_state(run: RunView) -> str:
    """Return `done` or `failed` for a run that has ended, as `aegis-tui runs` does; else `open`, `halted` or `ending`.

    `run` is the entry of the run in the shared context.
    """
    if run["ok"] is not None and run["status"] == "COMPLETED":
        return "done" if run["ok"] else "failed"
    return {"HALTED": "halted", "ENDING": "ending"}.get(run["status"], "open")


def _run_lines(run: RunView, done: MergeProgress) -> Iterator[str]:
    yield f"{run['run']}: {output.short(run['goal'])}"
    state, error = _run_state(run), run["error"]
    stage = run["stage"] if state in ("open", "done") else f"{state} in {run['stage']}"
    if state == "failed" and run["commit"]:
        stage = "incomplete"
    yield f"{stage}, {done['completed']} of {done['total']} pieces merged"
    if error and (message := error.get("message")):
        yield f"  {message}"
    for gate in run["gates"]:
        if not gate["passed"]:
            yield f"  waits for {gate['name']}: {gate['reason']}"
    if base := run["base_qa"]:
        yield f"  a check already fails on the base, and would keep the gate qa_passed closed: {base['reason']}"
        hints = [item["remedy"] for item in base["checks"] if not item["ok"] and item["remedy"]]
        yield from (f"    {hint}" for hint in dict.fromkeys(hints))


def _report(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="The run; the newest when left out.")] = None,
    as_json: AsJson = False,
) -> int:
    """Print the report of a run, from the log and git.

    If stdout is not a terminal, the report is printed as JSON. No hub is needed or started. Exit code 2 if there is no
    such run or no log, 1 if the log is damaged or the run's commit is not in the repository any more.
    """
    place = here()
    fields = compute_report(place, run)
    output.result({**fields}, as_json=as_json, lines=_report_text(fields))
    return 0


def _report_text(fields: Report) -> list[str]:
    """Return the lines of the report: as the dashboard shows it if stdout is a terminal, else as indented JSON."""
    if not sys.stdout.isatty():
        return output.json_text(fields, indent=2).splitlines()
    from aegis_tui.tui.views.report import report_lines

    width = max(LEAST_WIDTH, shutil.get_terminal_size().columns)
    return ["".join(span.text for span in line).rstrip() for line in report_lines(fields, width=width)]


def compute_report(place: Place, run: str | None) -> Report:
    """Return the report of a run, computed from the log and the repository; no hub is needed.

    If the log no longer has the start of the run, it is the report that was logged at the end.

    Args:
        place: The workspace.
        run: The id of the run; None for the newest.

    Raises:
        UsageError: There is no log or no such run, or the log has neither the start of the run nor its report.
        StoreError: The log is damaged, or cannot be read.
        GitUnavailable: git is missing.
        GitError: The run's commit is not in the repository any more.
    """
    import asyncio

    from aegis_tui.bootstrap.checkout import describe_commit_at
    from aegis_tui.bootstrap.log import log_reader
    from aegis_tui.domain.run.history import RUN_EVENTS, logged_report, past_runs
    from aegis_tui.domain.run.report import fold_report

    reader = log_reader(place.paths)
    marks = reader.events(RUN_EVENTS)
    known = past_runs(marks)
    if not known:
        raise UsageError("there is no run", "start one: aegis-tui run GOAL")
    name = run or known[-1]["run"]
    wanted = next((item for item in known if item["run"] == name), None)
    if wanted is not None and wanted["started_at"] is None:
        # The log no longer has the start of this run (it was compacted): use the report that was logged at its end.
        logged = logged_report(marks, name)
        if logged is None:
            raise UsageError(f"there is no report of {name}", "aegis-tui runs lists the runs that have one")
        return logged
    events = reader.events()
    first = fold_report(events, name)
    if first["commit"] is None:
        return first
    seen = asyncio.run(describe_commit_at(place.root, first["commit"]["oid"]))
    return fold_report(events, name, commit=seen)


def _app(function: Any) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app


status_app, report_app = _app(_status), _app(_report)
