"""`aegis-tui merge`: the pieces in the order of composition, and leaving pieces out of the result (contract 4, 9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.domain.composition.order import in_order
from aegis_tui.domain.count import counted
from aegis_tui.domain.merge.generated import is_foreseen
from aegis_tui.domain.merge.label import label_words
from aegis_tui.domain.piece.model import PIECE_WORDS, PieceStatus
from aegis_tui.domain.wire.merge import MergePlanOutput, PlannedPiece, PredictedMerge
from aegis_tui.domain.wire.output import RunOutput
from aegis_tui.domain.wire.reply import RunReply
from aegis_tui.errors import UsageError

if TYPE_CHECKING:
    from aegis_tui.domain.wire.piece import ConflictFields, PieceFields
    from aegis_tui.domain.wire.run import RunView

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
RunName = Annotated[str | None, typer.Argument(metavar="RUN", help="The run; the open one when left out.")]
LeaveOut = Annotated[
    list[str] | None,
    typer.Option("--leave-out", metavar="PIECE", help="Leave this piece out of the result; may be repeated."),
]

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Show the order in which pieces are merged, or leave some out."
)


@app.callback()
def merge() -> None:
    """Show the order in which pieces are merged, or leave some out."""


@app.command()
def plan(as_json: AsJson = False) -> int:
    """List the pieces of the newest run in the order in which they are merged.

    Each is listed with its state, the pieces that it depends on, the pieces that change the same files, and what is
    known about the merge of these files: proven by an independent check, verified by QA on the merged tree, unproven
    until then, or refused. Exit code 2 if there is no run or it has no design yet, 5 if no hub is running: none is
    started.
    """
    run = here().hub().context()["run"]
    if run is None:
        raise UsageError("there is no run", "start one: aegis-tui run GOAL")
    if not run["pieces"]:
        raise UsageError(f"{run['run']} has no accepted design yet", "see aegis-tui status")
    fields = _plan(run)
    rows = [[item["piece"], status_word(run, item["status"]), _words(item)] for item in fields["order"]]
    rows += [[item["piece"], "left out", item["reason"]] for item in fields["left_out"]]
    output.result(fields, as_json=as_json, lines=output.table(rows))
    return 0


def status_word(run: RunView, status: str) -> str:
    """Return the word for the status of a piece; `not merged` if the run ended before the piece was merged."""
    if run["ok"] is not None and status != PieceStatus.APPLIED:
        return "not merged"
    return PIECE_WORDS[PieceStatus(status)]


def _plan(run: RunView) -> MergePlanOutput:
    pieces = {item["name"]: item for item in run["pieces"]}
    needs = {name: item["depends_on"] for name, item in pieces.items()}
    order: list[PlannedPiece] = [
        {
            "piece": name,
            "status": pieces[name]["status"],
            "depends_on": pieces[name]["depends_on"],
            "files": len(pieces[name]["files"]),
            "shares": _shares(pieces[name], run["pieces"]),
            "merged": pieces[name]["merged_files"],
            "predicted": list(_predicted(name, run["conflicts"])),
        }
        for name in in_order(pieces, needs)
        if not pieces[name]["left_out"]
    ]
    return {
        "run": run["run"],
        "partial": run["partial"],
        "order": order,
        "left_out": [
            {
                "piece": item["name"],
                "reason": item["left_out"],
                "ref": f"refs/aegis/runs/{run['run']}/{item['name']}" if item["head_oid"] else None,
            }
            for item in run["pieces"]
            if item["left_out"]
        ],
    }


def _shares(piece: PieceFields, others: list[PieceFields]) -> list[str]:
    """Return the names of the pieces that change files of this one too and are not left out."""
    files = set(piece["files"])
    return [
        other["name"]
        for other in others
        if other["name"] != piece["name"] and not other["left_out"] and not files.isdisjoint(other["files"])
    ]


def _predicted(piece: str, conflicts: list[ConflictFields]) -> Iterator[PredictedMerge]:
    """Yield the conflicts of a piece that are open, and the files that it and another one both change."""
    for item in conflicts:
        if item["resolution"] is None and piece in (item["a"], item["b"]):
            yield {
                "path": item["path"],
                "other": item["b"] if item["a"] == piece else item["a"],
                "kind": item["kind"],
                "label": item["label"],
                "strategy": item["strategy"],
                "reason": item["reason"],
            }


def _words(item: PlannedPiece) -> str:
    parts = [counted(item["files"], "file")]
    if item["depends_on"]:
        parts.append(f"builds on {', '.join(item['depends_on'])}")
    if item["shares"]:
        parts.append(f"shares files with {', '.join(item['shares'])}")
    parts += [f"{file['path']} {label_words(file['label'], file['strategy'])}" for file in item["merged"]]
    for one in item["predicted"]:
        expected = f"a {one['kind']} conflict is expected"
        if is_foreseen(one["reason"]):
            expected = one["reason"]
        elif one["label"] in ("proven", "unproven"):
            expected = f"it can be merged {label_words(one['label'], one['strategy'])}"
        parts.append(f"{one['path']}, also changed by {one['other']}: {expected}")
    return "; ".join(parts)


@app.command()
def apply(run: RunName = None, leave_out: LeaveOut = None, as_json: AsJson = False) -> int:
    """Let a run commit its result without the pieces that fail, as `run --partial` does, and without those you name.

    From now on, a piece that cannot be finished, or that breaks QA after the last round, is left out together with the
    pieces that depend on it; its commits are kept. The run ends with a commit of the others and exit code 3.

    Exit code 2 if there is no such run or piece, 3 if the run has ended or no feature would be kept, 5 if no hub is
    running: none is started.
    """
    reply = here().hub().reply(RunReply, "merge:apply", run=run, leave_out=leave_out or [])
    words = f"without {', '.join(leave_out)}" if leave_out else "and leaves out pieces that fail"
    output.result(RunOutput(run=reply["run"]), as_json=as_json, lines=[f"run {reply['run']} continues, {words}"])
    return 0
