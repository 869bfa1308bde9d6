"""`aegis-tui qa`: shows QA results and the output of checks, and accepts a failing base (contract 9, FLOW-7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import Place, here
from aegis_tui.cli.status import compute_report
from aegis_tui.domain.qa.rules import NOTHING_TO_ACCEPT
from aegis_tui.domain.wire.output import CheckOutput, QaOutput, RunOutput
from aegis_tui.domain.wire.reply import RunReply
from aegis_tui.errors import UsageError

if TYPE_CHECKING:
    from aegis_tui.domain.run.report_model import QaReport

_WORDS = {"passed": "passed", "failed": "FAILED", "not_run": "NOT RUN", "empty": "EMPTY"}

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
RunName = Annotated[str | None, typer.Argument(metavar="RUN", help="The run; the newest when left out.")]
Check = Annotated[
    str | None,
    typer.Option(
        "--output", metavar="CHECK", help="Print the output of a check, named by its number, program or command."
    ),
]
Round = Annotated[
    int | None, typer.Option("--round", min=1, help="With --output: the round, from 1; the last when left out.")
]
OfBase = Annotated[bool, typer.Option("--base", help="With --output: its output on the base.")]
Accept = Annotated[
    bool,
    typer.Option(
        "--accept-base-failures",
        help="Accept a check that already fails on the base (the commit that the run started from) if QA cannot tell "
        "whether the result adds failures.",
    ),
]


def _qa(
    run: RunName = None,
    check: Check = None,
    base: OfBase = False,
    round_number: Round = None,
    accept: Accept = False,
    as_json: AsJson = False,
) -> int:
    """Show the QA results of a run, print the output of a check, or accept that checks fail on the base.

    --accept-base-failures needs a running hub, and ignores the options for the output of a check. Everything else
    works without a hub. The command never starts one.

    Exit code 2 if there is no such run, round or check, or if --base or --round is given without --output; 5 outside a
    repository; 1 if the log is damaged or the run's commit is no longer in the repository.

    --accept-base-failures without RUN: exit code 2 if no run is open or no hub is running. With RUN: exit code 5 if no
    hub is running.
    """
    place = here()
    if accept:
        if run is None and place.find() is None:
            raise UsageError("no run is active", NOTHING_TO_ACCEPT)
        reply = place.hub().reply(RunReply, "qa:accept", run=run)
        accepted = RunOutput(run=reply["run"])
        output.result(accepted, as_json=as_json, lines=[f"the failures of the base of {reply['run']} are accepted"])
        return 0
    if check is not None:
        return _output(place, run, check, is_base=base, round_number=round_number, as_json=as_json)
    if base or round_number is not None:
        raise UsageError("--base and --round need --output", "for example: aegis-tui qa --output CHECK --base")
    checks = compute_report(place, run)["qa"]
    lines = [line for item in checks for line in qa_lines(item)]
    output.result(QaOutput(qa=checks), as_json=as_json, lines=lines or ["QA has not run on the merged tree"])
    return 0


def _output(
    place: Place, run: str | None, check: str, *, is_base: bool, round_number: int | None, as_json: bool
) -> int:
    from aegis_tui.orchestrator.qa_outputs import BASE, MERGED, QaOutputs

    tree = BASE if is_base else MERGED
    chosen = None if round_number is None else round_number - 1
    kept = QaOutputs(place.paths.state_dir / "qa").find(run, check, tree=tree, round_number=chosen)
    fields: CheckOutput = {
        "run": kept.run,
        "round": kept.round,
        "check": kept.check,
        "command": kept.command,
        "tree": kept.tree,
        "status": kept.status,
        "output": kept.output,
    }
    output.result(fields, as_json=as_json, lines=kept.output.splitlines())
    return 0


def qa_lines(item: QaReport) -> list[str]:
    """Return the lines for one check of a report: its outcome, counts, seconds and command, and its note, if any.

    If it keeps the gate closed, the reason, what to do, and the tests that newly fail follow.
    """
    status = item.get("status", "passed" if item["ok"] else "failed")
    word = _WORDS.get(status, status)
    if item["ok"] and status != "passed":
        word = "accepted" if item.get("accepted_by") else "as on the base"
    count = "" if item["passed"] is None else f"{item['passed']} passed, {item['failed'] or 0} failed"
    parts = [f"round {item['round'] + 1}", word, item["check"], count, f"{item['duration_s']:.1f} s"]
    lines = ["  ".join(part for part in parts if part), f"  $ {item['command']}"]
    if item.get("note"):
        lines.append(f"  {item['note']}")
    if not item["ok"]:
        lines += [f"  {text}" for text in (item.get("reason"), item.get("remedy")) if text]
        lines += [f"  - {name}" for name in item["new_failures"]]
    return lines


def _app(function: Any) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app


qa_app = _app(_qa)
