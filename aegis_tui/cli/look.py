"""`conflicts` and `review`: conflicts and verdicts of a run (contract 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.cli.status import compute_report
from aegis_tui.domain.count import counted
from aegis_tui.domain.merge.label import label_words

if TYPE_CHECKING:
    from aegis_tui.domain.wire.output import ConflictPath, ConflictsOutput, ReviewsOutput

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
RunName = Annotated[str | None, typer.Argument(metavar="RUN", help="The run; the newest when left out.")]


def _conflicts(as_json: AsJson = False) -> int:
    """List pieces that change the same path.

    In a hot conflict they change the same lines; a soft one merges cleanly. Only the newest run is considered; if there
    is none, there are no conflicts, and the exit code is 0. Exit code 5 if no hub is running: none is started.
    """
    run = here().hub().context()["run"]
    conflicts = run["conflicts"] if run else []
    pairs: dict[tuple[str, str], list[ConflictPath]] = {}
    for item in conflicts:
        path: ConflictPath = {
            "path": item["path"],
            "kind": item["kind"],
            "hunks": item["hunks"],
            "resolution": item["resolution"],
            "text": item["text"],
            "label": item["label"],
            "strategy": item["strategy"],
            "reason": item["reason"],
        }
        pairs.setdefault((item["a"], item["b"]), []).append(path)
    fields: ConflictsOutput = {"pairs": [{"a": a, "b": b, "paths": paths} for (a, b), paths in pairs.items()]}
    rows = [
        [
            *(i["a"], i["b"], i["kind"], i["path"], counted(i["hunks"], "hunk"), i["resolution"] or "open"),
            label_words(i["label"], i["strategy"], i["reason"]),
        ]
        for i in conflicts
    ]
    output.result(fields, as_json=as_json, lines=output.table(rows) or ["no conflict is known"])
    return 0


def _review(run: RunName = None, as_json: AsJson = False) -> int:
    """Show the verdicts of a run's reviewers, with their findings.

    No hub is needed or started. Exit code 2 if there is no such run or no log, 1 if the log is damaged or the run's
    commit is not in the repository any more, 5 outside a repository.
    """
    from aegis_tui.domain.review.lens import for_lens  # it brings pydantic, which `conflicts` does without

    reviews = compute_report(here(), run)["reviews"]
    lines = []
    for item in reviews:
        lines.append(f"{item['piece']}{for_lens(item.get('lens'))}: {item['verdict']} by {item['reviewer']}")
        lines += [f"  {'pass' if c['pass'] else 'FAIL'} {c['id']}: {c['evidence']}" for c in item["criteria"]]
        lines += [f"  {f['severity']} {f['file'] or ''}: {f['msg']}" for f in item["findings"]]
    fields: ReviewsOutput = {"reviews": reviews}
    output.result(fields, as_json=as_json, lines=lines or ["no verdict yet"])
    return 0


def _app(function: Any) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app


conflicts_app, review_app = _app(_conflicts), _app(_review)
