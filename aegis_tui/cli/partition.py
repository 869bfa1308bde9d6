"""`aegis-tui partition check`: checks whether two globs, or the features of a design, share a path (PART-1)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.domain.count import counted
from aegis_tui.domain.glob.overlap import overlap
from aegis_tui.domain.glob.pattern import compile_glob
from aegis_tui.domain.path.file_name import encodable_text
from aegis_tui.domain.wire.machine import OverlapsOutput
from aegis_tui.domain.wire.output import GlobOverlap
from aegis_tui.errors import PartitionRefused

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Check whether two globs, or the features of a design, share a path.",
)


@app.callback()
def partitions() -> None:
    """Make `check` a subcommand of `partition`; do nothing else."""


@app.command()
def check(
    a: Annotated[str, typer.Argument(metavar="A", help="A glob, or a design file.")],
    b: Annotated[str | None, typer.Argument(metavar="B", help="A second glob, if A is a glob.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> int:
    """Check whether two globs, or the features of a design, share a path; exit code 3 with an example if they do.

    With one argument, the argument is a design file: exit code 3 also if it breaks another rule for designs, 2 if it
    cannot be read. Exit code 2 also if a glob is not valid. No hub and no repository are needed.
    """
    if b is None:
        from aegis_tui.application.design import load_design
        from aegis_tui.bootstrap.agents import installed_kinds

        design = load_design(Path(a), kinds=installed_kinds())
        words = f"{counted(len(design.features), 'feature')}, no path in common"
        output.result(OverlapsOutput(overlaps=[]), as_json=as_json, lines=[words])
        return 0
    witness = overlap(compile_glob(encodable_text(a)), compile_glob(encodable_text(b)))
    if witness is None:
        output.result(OverlapsOutput(overlaps=[]), as_json=as_json, lines=["no path matches both"])
        return 0
    overlaps: list[GlobOverlap] = [{"a": a, "b": b, "owners": ["a", "b"], "witness": witness}]
    raise PartitionRefused(f"{a} and {b} both match {witness}", "narrow one of them", overlaps=overlaps)
