"""`conflicts`: the conflicts of a run (contract 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.domain.count import counted
from aegis_tui.domain.merge.label import label_words

if TYPE_CHECKING:
    from aegis_tui.domain.wire.output import ConflictPath, ConflictsOutput

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


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
    output.result(fields, as_json=as_json, lines=output.table(rows) or ["no conflicts are known"])
    return 0


conflicts_app = typer.Typer(add_completion=False)
conflicts_app.command()(_conflicts)
