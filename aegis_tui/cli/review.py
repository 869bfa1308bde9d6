"""`aegis-tui review`: verdicts and findings of reviewers (REV-2, contract 9)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.cli.review_comments import register
from aegis_tui.cli.status import compute_report
from aegis_tui.domain.wire.output import ReviewsOutput
from aegis_tui.errors import UsageError

if TYPE_CHECKING:
    from aegis_tui.cli.place import Place
    from aegis_tui.domain.wire.review import PieceReview, ReviewShowOutput

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
RunName = Annotated[str | None, typer.Argument(metavar="RUN", help="The run; the newest when left out.")]


class _RunOrCommand(TyperGroup):
    """A group whose first word may be a run instead of a command, as `review RUN` was there before the commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        at = next((number for number, word in enumerate(args) if not word.startswith("-")), None)
        if at is not None and args[at] in self.commands:
            args = [*args[:at], "", *args[at:]]  # stands for the run that is not named
        else:
            args = sorted(args, key=lambda word: not word.startswith("-"))  # options have no values here
        return list(super().parse_args(ctx, args))

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; the usage of a command, which asks for those of its group too, is without the run."""
        return [item for item in super().get_params(ctx) if ctx.command is self or item.param_type_name != "argument"]


app = typer.Typer(
    cls=_RunOrCommand, add_completion=False, invoke_without_command=True, subcommand_metavar="| COMMAND [ARGS]..."
)
register(app)


@app.callback()
def review(context: typer.Context, run: RunName = None, as_json: AsJson = False) -> None:
    """Show what reviewers found, and send your own comments on lines to an agent.

    Without a command, the verdicts of a run's reviewers are listed, with their findings.

    No hub is needed or started. Exit code 2 if there is no such run or no log, 1 if the log is damaged or the run's
    commit is not in the repository any more, 5 outside a repository.
    """
    if context.invoked_subcommand is not None:
        return
    from aegis_tui.domain.review.lens import for_lens  # it brings pydantic

    reviews = compute_report(here(), run or None)["reviews"]
    lines = []
    for item in reviews:
        lines.append(f"{item['piece']}{for_lens(item.get('lens'))}: {item['verdict']} by {item['reviewer']}")
        lines += [f"  {'pass' if c['pass'] else 'FAIL'} {c['id']}: {c['evidence']}" for c in item["criteria"]]
        lines += [f"  {f['severity']} {f['file'] or ''}: {f['msg']}" for f in item["findings"]]
    fields: ReviewsOutput = {"reviews": reviews}
    output.result(fields, as_json=as_json, lines=lines or ["there is no verdict"])


@app.command()
def show(
    what: Annotated[
        str | None,
        typer.Argument(metavar="RUN|PIECE", help="A run, or a piece of the newest run; the newest run when left out."),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0, which editors and forges read.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show the findings of all reviewers in one list, by piece: each problem once, with a score for its importance.

    Only the reviews of the commit that was submitted last count. Findings about overlapping lines of a file that name
    the same rule or use similar words are one problem.

    No hub is needed or started. Exit code 2 if there is no such run or piece or no log, or if two formats are named, 1
    if the log is damaged, 5 outside a repository.
    """
    if markdown + sarif + as_json > 1:
        raise UsageError("--markdown, --sarif and --json cannot be combined", "give one of them")
    run, pieces = _reviewed(here(), what)
    if sarif:
        from aegis_tui import __version__
        from aegis_tui.domain.review.sarif import sarif_log

        output.data(json.dumps(sarif_log(run, pieces, version=__version__), indent=2))
        return 0
    from aegis_tui.domain.review.markdown import review_markdown

    text = review_markdown(run, pieces).rstrip()
    if markdown:
        output.data(text)
        return 0
    fields: ReviewShowOutput = {"run": run, "pieces": pieces}
    output.result(fields, as_json=as_json, lines=[line for item in pieces for line in _lines(item)] or [NOTHING])
    return 0


NOTHING = "nothing has been reviewed yet"


def _reviewed(place: Place, what: str | None) -> tuple[str, list[PieceReview]]:
    """Return the id of the wanted run, and its reviewed pieces or the wanted one.

    Args:
        place: The workspace.
        what: A run, or a piece of the newest run; None for the newest run.

    Raises:
        UsageError: There is no log, no run, or no run or reviewed piece of that name.
        StoreError: The log is damaged, or cannot be read.
    """
    from aegis_tui.bootstrap.log import log_reader
    from aegis_tui.domain.review.summary import EVENTS, fold_reviews
    from aegis_tui.domain.run.history import RUN_EVENTS, past_runs

    reader = log_reader(place.paths)
    runs = [item["run"] for item in past_runs(reader.events(RUN_EVENTS))]
    if not runs:
        raise UsageError("there is no run", "start one: aegis-tui run GOAL")
    run = what if what in runs else runs[-1]
    pieces = fold_reviews(reader.events(EVENTS), run)
    if what is None or what in runs:
        return run, pieces
    if not any(item["piece"] == what for item in pieces):
        known = ", ".join(item["piece"] for item in pieces) or "none"
        raise UsageError(f"there is no run {what}, and {run} has no reviewed piece {what}", f"reviewed pieces: {known}")
    return run, [item for item in pieces if item["piece"] == what]


def _lines(item: PieceReview) -> list[str]:
    from aegis_tui.domain.review.markdown import WORDS, span_of

    said = [
        f"{one['lens']}: {WORDS[one['verdict']]}{'' if one['blocking'] else ' (does not block)'}"
        for one in item["lenses"]
    ]
    lines = [f"{item['piece']}: {WORDS[item['verdict']]}, score {item['score']:g} ({'; '.join(said)})"]
    for finding in item["findings"]:
        rule = f"{finding['rule']}: " if finding["rule"] else ""
        lenses = ", ".join(finding["lenses"])
        lines.append(
            f"  {finding['severity']:<7} {finding['score']:>4g}  {span_of(finding)}  {rule}{finding['msg']} [{lenses}]"
        )
        if finding["suggestion"]:
            lines.append(f"          suggestion: {finding['suggestion']}")
    return lines
