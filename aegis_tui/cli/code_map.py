"""`aegis-tui map`: what the code of this worktree defines, calls, imports and tests (MAP-5). No hub is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, TypeVar

import typer

from aegis_tui.application.code_map import CodeMap
from aegis_tui.bootstrap.code_map import ask_about_checkout
from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.domain.code_map.shadow import doc_of, marked
from aegis_tui.domain.code_map.show import FORMS, ShowAs
from aegis_tui.domain.count import counted
from aegis_tui.domain.wire.code_map import (
    BuildOutput,
    CalleesOutput,
    FileRow,
    FolderRow,
    ImpactOutput,
    MapAnswer,
    MapStatusOutput,
    ShownFolder,
    ShownText,
    SitesOutput,
    SymbolsOutput,
)
from aegis_tui.errors import UsageError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Look up what the code of this worktree defines, calls, imports and tests.\n\nEvery answer describes the "
    "files as they are now, including changed and untracked ones; files that git ignores are left out. All worktrees "
    "of the repository share one map. A call whose target cannot be determined is listed only if a single definition "
    "has its name, and is marked as uncertain.",
)
A = TypeVar("A", bound=MapAnswer)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A function or class, such as total or Cart.total, or PATH:NAME.")
]


def _ask(
    question: Callable[[CodeMap], A],
    *,
    as_json: bool,
    lines: Callable[[A], Iterable[str]],
    anew: bool = False,
) -> int:
    """Print the answer to a question about this worktree's code, and return 0; the map is brought up to date before.

    Without `--json`, a rebuilt map and files that changed meanwhile are reported on stderr.

    Args:
        question: Asks the map.
        as_json: Print the answer as JSON.
        lines: Returns the lines to print otherwise.
        anew: Read all files again.

    Raises:
        UsageError: The map does not have what is asked about.
        StoreError: The map cannot be read or written.
        GitUnavailable: git is missing, or this is outside a repository.
        GitError: git fails.
    """
    place = here()
    answer = ask_about_checkout(place.root, place.paths, question, anew=anew)
    if not as_json:
        if (reason := answer.get("rebuilt")) and not anew:
            output.talk(f"the code map was rebuilt: {reason}")
        for path in answer["stale"]:
            output.talk(f"{path} has changed since it was read; ask again")
    output.result(answer, as_json=as_json, lines=lines(answer))
    return 0


@app.command()
def build(
    anew: Annotated[
        bool,
        typer.Option(
            "--anew", help="Delete the map and the descriptions that a model wrote, and read all files again."
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Bring the map up to date; the other commands do that too. Exit code 5 outside a repository."""

    def lines(answer: BuildOutput) -> Iterator[str]:
        yield f"{counted(answer['files'], 'file')}, {answer['derived']} of them read now, in {answer['wall_s']:.2f} s"

    return _ask(lambda code_map: code_map.refreshed or code_map.refresh(), as_json=as_json, lines=lines, anew=anew)


@app.command()
def status(
    check: Annotated[
        bool, typer.Option("--check", help="Also check that symbols, relations and search data fit together.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Show what the map contains. Exit code 5 outside a repository."""

    def lines(answer: MapStatusOutput) -> Iterator[str]:
        yield f"{counted(answer['files'], 'file')} in this worktree: {_listed(answer['languages'])}"
        held = f"{counted(answer['blobs'], 'file version')}, {counted(answer['symbols'], 'symbol')}"
        size = f"{answer['size_bytes'] / 2**20:.1f} MiB"
        yield f"stored for all worktrees: {held}, {size}; {counted(answer['seq'], 'update')} so far"
        if tags := answer.get("tags"):
            yield f"{counted(tags, 'definition')} described by a model; `map build --anew` deletes that"
        yield f"based on git tree {answer['tree'] or 'none'} and {counted(len(answer['changed']), 'changed path')}"
        for words in answer.get("disagreements", ()):
            yield f"! {words}"
        if check and not answer["disagreements"]:
            yield "symbols, relations and search data fit together"

    return _ask(lambda code_map: code_map.status(checks=check), as_json=as_json, lines=lines)


@app.command()
def find(name: Name, as_json: AsJson = False) -> int:
    """Print where a name is defined. Exit code 0 also if there is no definition, 5 outside a repository."""
    return _ask(lambda code_map: code_map.find(name), as_json=as_json, lines=_symbols)


@app.command()
def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What you are looking for, in words.")],
    count: Annotated[int, typer.Option("--count", min=1, max=100, help="Maximum number of definitions to print.")] = 10,
    as_json: AsJson = False,
) -> int:
    """Print the definitions that best match a text. Exit code 0 also if there are none, 5 outside a repository."""
    return _ask(lambda code_map: code_map.search(text, count=count), as_json=as_json, lines=_symbols)


@app.command()
def show(
    place: Annotated[str, typer.Argument(metavar="PATH[:SYMBOL]", help="A file, a symbol in it, or a folder.")] = ".",
    form: Annotated[
        str, typer.Option("--as", metavar="|".join(FORMS), help="How much of a file or symbol to print.")
    ] = "signatures",
    as_json: AsJson = False,
) -> int:
    """Print the public outline, the signatures or the whole text of a file or symbol, or what a folder holds.

    Exit code 2 if there is no such file or symbol in the map, 5 outside a repository.
    """
    if form not in FORMS:
        raise UsageError(f"--as {form} is not known", f"one of {', '.join(FORMS)}")
    chosen: ShowAs = next(known for known in FORMS if known == form)

    def lines(answer: ShownText | ShownFolder) -> Iterator[str]:
        if "text" in answer:
            if tag := answer.get("machine_doc"):
                yield f"# {marked(tag)}"
            yield answer["text"] or "(no definitions)"
            yield from (f"-> {pointer}" for pointer in answer["pointers"])
            return
        if doc := answer.get("doc"):
            yield f"# {doc}"
        rows = [[f"{row['path']}/", counted(row["files"], "file"), _held(row)] for row in answer["folders"]]
        rows += [[row["path"], counted(row["lines"], "line"), _about(row)] for row in answer["files"]]
        yield from output.table(rows)

    return _ask(lambda code_map: code_map.show(place, chosen), as_json=as_json, lines=lines)


@app.command()
def callers(name: Name, as_json: AsJson = False) -> int:
    """Print the calls to a function, method or class.

    Exit code 2 if the map has no such definition, 5 outside a repository.
    """
    return _ask(lambda code_map: code_map.callers(name), as_json=as_json, lines=_sites)


@app.command()
def callees(name: Name, as_json: AsJson = False) -> int:
    """Print the definitions that are called inside a function, method or class.

    Exit code 2 if the map has no such definition, 5 outside a repository.
    """
    return _ask(lambda code_map: code_map.callees(name), as_json=as_json, lines=_symbols)


@app.command()
def tests(name: Name, as_json: AsJson = False) -> int:
    """Print the tests that call or name a function, method or class.

    Exit code 2 if the map has no such definition, 5 outside a repository.
    """
    return _ask(lambda code_map: code_map.tests(name), as_json=as_json, lines=_sites)


@app.command()
def impact(
    place: Annotated[str, typer.Argument(metavar="PATH[:SYMBOL]", help="A file, or a symbol in it.")],
    as_json: AsJson = False,
) -> int:
    """Print the files that a change may affect: those that import or call the changed code; tests are marked.

    Exit code 2 if there is no such file or symbol in the map, 5 outside a repository.
    """

    def lines(answer: ImpactOutput) -> list[str]:
        rows = [
            [row["path"], "test" if row["is_test"] else "", "; ".join(row["calls"][:3]) or "imports it"]
            for row in answer["dependents"]
        ]
        return output.table(rows) or ["nothing depends on it"]

    return _ask(lambda code_map: code_map.impact(place), as_json=as_json, lines=lines)


def _symbols(answer: SymbolsOutput | CalleesOutput) -> list[str]:
    rows = [
        [f"{row['path']}:{row['line']}", row["kind"], row["name"], output.short(doc_of(row))]
        for row in answer["symbols"]
    ]
    return output.table(rows) or ["nothing was found"]


def _sites(answer: SitesOutput) -> list[str]:
    rows = [
        [
            f"{row['path']}:{row['line']}",
            row["caller"] or "(module)",
            row["call"],
            "" if row["certain"] else "uncertain",
        ]
        for row in answer["sites"]
    ]
    return output.table(rows) or [f"no calls to {', '.join(answer['of'])} were found"]


def _about(row: FileRow) -> str:
    return output.short(row["doc"] or ", ".join(row["defines"]), 90)


def _held(row: FolderRow) -> str:
    return output.short(row.get("doc") or ", ".join(row.get("holds", ())), 90)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {language}" for language, count in counts.items()) or "none"
