"""`runs` and `transcript`: past runs and transcripts, read from the log and the state folder without a hub."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.domain.run.history import RUN_EVENTS, outcome_word, past_runs
from aegis_tui.domain.run.report_model import PastRun
from aegis_tui.domain.wire.output import RunsOutput, TranscriptOutput

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


def _runs(as_json: AsJson = False) -> int:
    """List every run of this repository with its outcome.

    The newest is the last. `aegis-tui report RUN` shows one of them. No hub is needed or started. Exit code 2 if there
    is no log, 1 if it is damaged, 5 outside a repository.
    """
    from aegis_tui.bootstrap.log import log_reader

    runs = past_runs(log_reader(here().paths).events(RUN_EVENTS))
    output.result(
        RunsOutput(runs=runs), as_json=as_json, lines=output.table(map(_row, runs)) or ["no run was ever started"]
    )
    return 0


def _row(run: PastRun) -> list[str]:
    took = "" if run["duration_s"] is None else f"{run['duration_s']:.0f} s"
    outcome = f"{run['commit'][:10]} on {run['branch']}" if run["commit"] else str(run["error"] or "")
    at = str(run["started_at"] or "")[:16].replace("T", " ")
    return [run["run"], outcome_word(run), at, took, output.short(run["goal"] or ""), outcome]


def _transcript(
    name: Annotated[str, typer.Argument(metavar="ID", help="The instance: w01, or in full NATIVE-w01, of any run.")],
    as_json: AsJson = False,
) -> int:
    """Print what an instance has shown in its pane, even after it has ended.

    No hub is needed or started. Exit code 2 if it has shown nothing, or there was no such instance; 5 outside a
    repository.
    """
    from aegis_tui.bootstrap.panes import read_transcript

    transcript = read_transcript(here().paths, name)
    lines = list(transcript.lines)
    fields = TranscriptOutput(id=transcript.instance_id, ended=transcript.has_ended, lines=lines)
    output.result(fields, as_json=as_json, lines=transcript.lines)
    return 0


def _app(function: Any) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app


runs_app, transcript_app = _app(_runs), _app(_transcript)
