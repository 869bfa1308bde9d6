"""`aegis-tui partition`: checks whether globs share a path, and suggests partitions (PART-1, PART-4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.domain.count import counted
from aegis_tui.domain.glob.overlap import overlap
from aegis_tui.domain.glob.pattern import compile_glob
from aegis_tui.domain.path.file_name import encodable_text
from aegis_tui.domain.wire.code_map import PartitionOutput
from aegis_tui.domain.wire.machine import OverlapsOutput
from aegis_tui.domain.wire.output import GlobOverlap
from aegis_tui.errors import PartitionRefused

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Check whether globs share a path, or get partitions suggested for this repository.",
)


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


@app.command()
def suggest(
    parts: Annotated[int, typer.Option("--parts", min=1, max=100, help="How many parts are wanted.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> int:
    """Suggest how to divide the files of this worktree among workers, with a reason for each part.

    Files that import each other, or that commits often changed together, are put into one part, and the parts get about
    the same size. Files that many others import go to `joint` or to the foundation of a design. No two of the globs
    match the same path. There are fewer parts if there is too little code. Exit code 5 outside a repository.
    """
    from aegis_tui.bootstrap.code_map import ask_about_checkout, suggest_for_checkout
    from aegis_tui.cli.place import here

    place = here()
    answer = ask_about_checkout(
        place.root, place.paths, lambda code_map: suggest_for_checkout(place.root, code_map, parts)
    )
    output.result(answer, as_json=as_json, lines=_suggested(answer))
    return 0


def _suggested(answer: PartitionOutput) -> Iterator[str]:
    for part in answer["parts"]:
        size = f"{counted(part['files'], 'file')}, {counted(part['lines'], 'line')} of code"
        yield f"{part['name']}: {size}"
        yield f"  {part['reason']}"
        yield from (f"  {glob}" for glob in part["globs"])
    if answer["outside"]:
        yield "in no part:"
        yield from output.table(
            [
                [f"  {row['where']}", row["glob"], counted(row["files"], "file"), row["reason"]]
                for row in answer["outside"]
            ]
        )
    yield f"imports from one part to another: {answer['cut']} of {answer['imports']}"
    yield from answer["notes"]
