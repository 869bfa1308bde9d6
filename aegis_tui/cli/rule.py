"""`aegis-tui rules`: what no piece may contain, what was found, and a person's answer to it (FLOW-9)."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.cli.status import compute_report
from aegis_tui.domain.model import json_of
from aegis_tui.domain.wire.output import RunOutput
from aegis_tui.domain.wire.piece import RuleFindingFields
from aegis_tui.domain.wire.reply import AllowedReply, RunReply
from aegis_tui.domain.wire.rule import (
    AllowedOutput,
    ExamplesOutput,
    RuleCheckOutput,
    RuleFindingsOutput,
    RuleRow,
    RulesOutput,
)

if TYPE_CHECKING:
    from aegis_tui.domain.rule.finding import RuleFinding
    from aegis_tui.domain.run.report_model import RuleReportPart

rules_app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The merge rules, which say what a piece may contain."
)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
RunName = Annotated[str | None, typer.Option("--run", metavar="RUN", help="The run; the open one when left out.")]
Keys = Annotated[list[str] | None, typer.Argument(metavar="[FINDING]...", help="The findings, by their keys.")]
Reason = Annotated[str, typer.Option("--reason", help="The reason, for the log and for the worker.")]


@rules_app.callback()
def rules() -> None:
    """The merge rules, which say what a piece may contain."""


@rules_app.command(name="list")
def list_rules(as_json: AsJson = False) -> int:
    """List the rules in effect in this checkout: those that come with the program, and those in .agents/rules.

    A run uses the rules that its base commit contains. No hub is needed. Exit code 2 if a rules file is not valid.
    """
    from aegis_tui.bootstrap.rules import rules_in
    from aegis_tui.domain.rule.parse import combined

    shipped, own = rules_in(here().root)
    names = {rule.name for rule in own}
    listed: list[RuleRow] = [
        {
            "name": rule.name,
            "kind": rule.kind,
            "severity": rule.severity,
            "origin": "team" if rule.name in names else "program",
            "message": rule.message,
        }
        for rule in combined(shipped, own)
    ]
    rows = [[item["name"], item["severity"], item["kind"], item["origin"], item["message"]] for item in listed]
    output.result(RulesOutput(rules=listed), as_json=as_json, lines=output.table(rows))
    return 0


@rules_app.command(name="test")
def try_examples(as_json: AsJson = False) -> int:
    """Check each rule against the examples in its own file: texts that it must find, and texts that it must not find.

    No hub is needed. Exit code 1 if a rule gives another result for one of its examples, 2 if a file is not valid.
    """
    from aegis_tui.bootstrap.rules import rules_in
    from aegis_tui.domain.count import counted
    from aegis_tui.domain.rule.model import wrong_examples
    from aegis_tui.domain.rule.parse import combined

    every = combined(*rules_in(here().root))
    wrong = [line for rule in every for line in wrong_examples(rule)]
    examples = sum(len(rule.hits) + len(rule.misses) for rule in every)
    good = f"{counted(len(every), 'rule')} tested with {counted(examples, 'example')}: all as expected"
    fields = ExamplesOutput(rules=len(every), examples=examples, wrong=wrong, ok=not wrong)
    output.result(fields, as_json=as_json, lines=wrong or [good])
    return 1 if wrong else 0


@rules_app.command()
def check(
    commit: Annotated[str, typer.Argument(metavar="[COMMIT]", help="The commit to check.")] = "HEAD",
    base: Annotated[str | None, typer.Option("--base", help="Compare with this commit; COMMIT^ when left out.")] = None,
    as_json: AsJson = False,
) -> int:
    """Apply the rules to what a commit changes, as a run does with each piece.

    The rules are read from the commit to compare with. No hub is needed. Exit code 3 if anything but warnings was
    found, 2 if there is no such commit or a file of rules is not valid, 5 outside a repository, 1 if git fails.
    """
    from aegis_tui.bootstrap.rules import check_commits

    seen = asyncio.run(check_commits(here().root, dict(os.environ), base=base, head=commit))
    findings = [json_of(item, RuleFindingFields) for item in seen.findings]
    lines = [finding_line(item) for item in seen.findings] or ["nothing was found"]
    lines.append(f"secret scanner: {seen.scanner or 'none was needed'}")
    ok = all(item.severity == "warning" for item in seen.findings)
    output.result(RuleCheckOutput(ok=ok, findings=findings, scanner=seen.scanner), as_json=as_json, lines=lines)
    return 0 if ok else 3


@rules_app.command()
def findings(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="The run; the newest when left out.")] = None,
    as_json: AsJson = False,
) -> int:
    """List what the rules found in the pieces of a run, and the outcome of each finding.

    No hub is needed. Exit code 2 if there is no such run, 1 if the log is damaged.
    """
    none: RuleReportPart = {"scanners": [], "findings": []}
    report = compute_report(here(), run)
    part = report.get("rules", none)
    has_ended = all(stage["state"] != "active" for stage in report["stages"])
    rows = [
        [
            item["key"],
            "not answered" if has_ended and item["outcome"] == "waits" else item["outcome"],
            item["piece"],
            _where(item["file"], item["line"]),
            f"{item['msg']} ({item['rule']})",
        ]
        for item in part["findings"]
    ]
    fields: RuleFindingsOutput = {**part}
    output.result(fields, as_json=as_json, lines=output.table(rows) if rows else ["the rules found nothing"])
    return 0


@rules_app.command()
def allow(
    keys: Keys = None,
    piece: Annotated[
        str | None, typer.Option("--piece", help="Allow all findings that this piece is waiting for.")
    ] = None,
    run: RunName = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> int:
    """Allow findings of the rules: those that you name, or all that a piece is waiting for.

    The same content is then allowed for the rest of the run. Exit code 2 if there is no such run, piece or finding, 3
    if the run has ended, 5 if no hub is running.
    """
    reply = here().hub().reply(AllowedReply, "rule:allow", run=run, keys=keys or [], piece=piece, reason=reason)
    lines = [f"allowed {key}" for key in reply["keys"]] or ["allowed already"]
    output.result(AllowedOutput(run=reply["run"], keys=reply["keys"]), as_json=as_json, lines=lines)
    return 0


@rules_app.command()
def refuse(
    piece: Annotated[str, typer.Argument(metavar="PIECE", help="The waiting piece.")],
    run: RunName = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> int:
    """Send a waiting piece back to its worker, with the reason.

    Exit code 2 if there is no such run or piece, 3 if the piece is not waiting or the run has ended, 5 if no hub is
    running.
    """
    reply = here().hub().reply(RunReply, "rule:refuse", run=run, piece=piece, reason=reason)
    output.result(RunOutput(run=reply["run"]), as_json=as_json, lines=[f"{piece} goes back to its worker"])
    return 0


def finding_line(item: RuleFinding) -> str:
    """Return one finding in a line: severity, file with line if known, what was found, and the rule's name."""
    return f"{item.severity}  {_where(item.file, item.line)}  {item.msg} ({item.rule})"


def _where(file: str, line: int | None) -> str:
    return f"{file}:{line}" if line else file
