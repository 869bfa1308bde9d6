"""`aegis-tui push` and `aegis-tui pr`: the person publishes a result; no agent ever does (GIT-6, GIT-8)."""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aegis_tui.cli import output
from aegis_tui.cli.agreement import agrees
from aegis_tui.cli.place import Place, here
from aegis_tui.cli.rule import finding_line
from aegis_tui.cli.status import compute_report
from aegis_tui.domain.count import counted
from aegis_tui.domain.inert import inert
from aegis_tui.domain.model import json_of
from aegis_tui.domain.wire.piece import RuleFindingFields
from aegis_tui.errors import Refused, UsageError

if TYPE_CHECKING:
    from aegis_tui.domain.wire.push import PullRequestOutput, PushOutput
    from aegis_tui.orchestrator.rule_check import RuleReport
    from aegis_tui.ports.push import PushPlan

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Source = Annotated[
    str | None, typer.Argument(metavar="RUN", help="A run, a branch or a commit; the newest run when left out.")
]
Remote = Annotated[
    str | None, typer.Option("--remote", metavar="NAME", help="The remote; by default the one that git would use.")
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="BRANCH", help="The branch on the remote; by default it has the same name as here."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Push without asking.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be pushed.")]
Anyway = Annotated[bool, typer.Option("--despite-findings", help="Push although the rules found something.")]

_SHOWN = 20


def _push(
    source: Source = None,
    remote: Remote = None,
    to: To = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    anyway: Anyway = False,
    as_json: AsJson = False,
) -> int:
    """Push the result of a run to a remote, after showing the commits and asking for confirmation.

    The merge rules, including the secret scanner, are applied to the combined change of the new commits. The newest 200
    of these commits are also searched for secrets one by one. The push is never forced. Your own hooks and credentials
    are used. No hub is needed. Exit code 2 if there is no such commit or remote, if RUN is a commit and --to is
    missing, or if --yes is missing and you cannot be asked because there is no terminal; 3 if the rules found
    something, if the branch on the remote has commits that the push would lose, or if an agent runs this command; 1 if
    git fails or you answer no.
    """
    if os.environ.get("AEGIS_INSTANCE"):
        raise Refused("agents may not push", "leave it to the person, who can run aegis-tui push", code="person.only")
    place = here()
    plan, seen = _looked_at(place, source, remote, to)
    for line in _lines(plan, seen):
        output.talk(line)
    _check(plan, seen, anyway=anyway)
    if dry_run or (not plan.commits and plan.old_oid == plan.oid):
        return _print_plan(plan, seen, is_pushed=False, as_json=as_json)
    question = f"push {counted(len(plan.commits), 'commit')} to {plan.remote}?"
    if not yes and not agrees(question, verb="push"):
        output.talk("nothing was pushed")
        return 1
    from aegis_tui.bootstrap.checkout import pusher_at

    pusher_at(place.root).push(plan)
    return _print_plan(plan, seen, is_pushed=True, as_json=as_json)


def _looked_at(place: Place, source: str | None, remote: str | None, to: str | None) -> tuple[PushPlan, RuleReport]:
    from aegis_tui.bootstrap.checkout import pusher_at
    from aegis_tui.bootstrap.rules import check_history
    from aegis_tui.orchestrator.rule_check import RuleReport

    name, branch = _result_of(place, source)
    plan = pusher_at(place.root).plan(name, remote, to or branch)
    if not plan.commits:
        return plan, RuleReport()
    oids = [oid for oid, _ in plan.commits]
    return plan, asyncio.run(check_history(place.root, dict(os.environ), oids, plan.base_oid))


def _result_of(place: Place, source: str | None) -> tuple[str, str | None]:
    """Return what to push, as a name for git, and the branch of a run's result; the branch is None for what is no run.

    Args:
        place: The workspace.
        source: The id of a run; or any other name of a commit, which is returned as it is; None for the newest run.

    Raises:
        UsageError: There is no log or no such run, or it made no commit.
        StoreError: The log is damaged, or cannot be read.
        GitUnavailable: git is missing.
        GitError: The run's commit is not in the repository any more.
    """
    if source is not None and not re.fullmatch(r"run\d+", source):
        return source, None
    commit = compute_report(place, source)["commit"]
    if commit is None:
        named = source or "the newest run"
        raise UsageError(f"{named} made no commit", "name another: aegis-tui push RUN")
    return commit["oid"], commit["branch"]


def _lines(plan: PushPlan, seen: RuleReport) -> list[str]:
    there = f"at {plan.old_oid[:12]}" if plan.old_oid else "new"
    lines = [f"to {plan.remote}, {inert(plan.url)}, branch {plan.branch} ({there}):"]
    lines += [f"  {oid[:12]} {inert(subject)}" for oid, subject in plan.commits[:_SHOWN]]
    if len(plan.commits) > _SHOWN:
        lines.append(f"  and {len(plan.commits) - _SHOWN} more")
    if not plan.commits:
        lines.append("  no new commit")
    lines += [f"  {finding_line(item)}" for item in seen.findings]
    if plan.commits:
        lines.append(f"  secret scanner: {seen.scanner or 'none was needed'}")
    return lines


def _check(plan: PushPlan, seen: RuleReport, *, anyway: bool) -> None:
    """Return if the push may be offered: nothing is lost, and the rules found no more than warnings.

    Args:
        plan: What would be pushed.
        seen: What the rules found in it.
        anyway: Whether findings do not matter.

    Raises:
        Refused: It would lose commits of the remote, or the rules found something.
    """
    if not plan.is_fast_forward:
        raise Refused(
            f"{plan.branch} on {plan.remote} has commits that this would lose",
            "push to another branch: --to BRANCH; or merge them first",
            code="push.not-forward",
        )
    serious = [item for item in seen.findings if item.severity != "warning"]
    if serious and not anyway:
        hint = "repair the commits (git rebase -i), or push them all the same: --despite-findings"
        raise Refused(f"the rules found {counted(len(serious), 'place')} in what would be pushed", hint, code="rules")


def _print_plan(plan: PushPlan, seen: RuleReport, *, is_pushed: bool, as_json: bool) -> int:
    fields: PushOutput = {
        "pushed": is_pushed,
        "remote": plan.remote,
        "url": plan.url,
        "branch": plan.branch,
        "oid": plan.oid,
        "old_oid": plan.old_oid,
        "commits": [{"oid": oid, "subject": subject} for oid, subject in plan.commits],
        "findings": [json_of(item, RuleFindingFields) for item in seen.findings],
        "scanner": seen.scanner,
    }
    words = f"pushed {plan.oid[:12]} to {plan.branch} on {plan.remote}" if is_pushed else "nothing was pushed"
    output.result(fields, as_json=as_json, lines=[words])
    return 0


def _pr(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="The run; the newest when left out.")] = None,
    as_json: AsJson = False,
) -> int:
    """Print a title and a description in Markdown for a pull request with the result of a run.

    The text comes from the report of the run. Text by agents is formatted as code, so that it cannot mention anybody or
    close an issue. Nothing is sent. No hub is needed. Exit code 2 if there is no such run, 3 if it made no commit.
    """
    from aegis_tui.domain.run.pull_request import pull_request_text

    report = compute_report(here(), run)
    text = pull_request_text(report)
    branch = report["commit"]["branch"] if report["commit"] else ""
    fields: PullRequestOutput = {"run": report["run"], "branch": branch, "title": text.title, "body": text.body}
    output.result(fields, as_json=as_json, lines=[text.title, "", *text.body.rstrip("\n").split("\n")])
    return 0


def _app(function: Any) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app


push_app, pr_app = _app(_push), _app(_pr)
