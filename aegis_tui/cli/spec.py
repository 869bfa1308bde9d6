"""`aegis-tui spec`: specification files of this checkout (SPEC-1, SPEC-2, SPEC-9). No hub is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from aegis_tui.application.spec_folder import SpecEntry, SpecFolder
from aegis_tui.application.spec_import import read_issue
from aegis_tui.application.spec_text import load_spec
from aegis_tui.application.yaml_text import MAX_SIZE_BYTES, NotYaml, decoded, read_file
from aegis_tui.cli import output
from aegis_tui.cli.place import COMMAND_TIMEOUT_S, Place, here
from aegis_tui.domain.count import counted, listed
from aegis_tui.domain.spec.document import Spec
from aegis_tui.domain.wire.reply import SpecRescanReply
from aegis_tui.domain.wire.spec import (
    SpecOutput,
    SpecProblem,
    SpecsCheckedOutput,
    SpecSchemaOutput,
    SpecsOutput,
    SpecsSeenOutput,
)
from aegis_tui.errors import AegisError, HubUnavailable, Refused, UsageError
from aegis_tui.sdk.quick import HubQuick

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Write, list and check specs: files in .agents/specs/active that say what is wanted.\n\nA spec has "
    "requirements, tasks and a status. You edit it as you like: a program that changes it keeps your comments, order "
    "and quotes.",
)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command()
def new(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is wanted; its first line becomes the title.")],
    template: Annotated[
        str, typer.Option("--template", help="Name of a template, such as fix; docs/specs.md lists them.")
    ] = "feature",
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Leave the text of the template as it is, for you to fill in.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Write a draft of a spec from a template, and print its file.

    A running hub then has a consultant fill it in, in the background, and sets its status to `review`: read it, and
    approve it. If no hub is running, the draft waits for one.

    Exit code 2 if the text is empty or there is no such template, 3 if the template is not a valid spec.
    """
    root = here().root
    folder = SpecFolder(root)
    path = folder.create(text, template=template, author=author_in(root), now=datetime.now(UTC), is_consulted=not as_is)
    spec = load_spec(path).spec
    fields: SpecOutput = {"specs": [spec], "path": _relative(path, root)}
    output.result(fields, as_json=as_json, lines=[_relative(path, root)])
    if not as_is and here().find() is None:
        output.talk("no hub is running: start one, so that a consultant fills the draft in: aegis-tui hub start")
    return 0


@app.command("import")
def import_issue(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="JSON of one issue, or Markdown with the title first; - for stdin.")
    ],
    as_json: AsJson = False,
) -> int:
    """Write a draft of a spec from an issue, and print its file. Nothing is fetched: your own tools do that.

    JSON is read as gh issue view NUMBER --json number,title,body,labels,comments,url prints it. What the issue says is
    quoted in the description. Check boxes become acceptance criteria.

    Exit code 2 if the file cannot be read or is no issue, 3 if an active spec was made from an issue with
    the same URL.
    """
    root = here().root
    content = sys.stdin.buffer.read(MAX_SIZE_BYTES + 1) if file == "-" else read_file(Path(file), kind="issue")
    try:
        issue = read_issue(decoded(content))
    except NotYaml as error:
        raise UsageError(f"the issue cannot be read: {error.message}", "give UTF-8 text of at most 1 MiB") from error
    path = SpecFolder(root).add_issue(issue, author=author_in(root), now=datetime.now(UTC))
    fields: SpecOutput = {"specs": [load_spec(path).spec], "path": _relative(path, root)}
    output.result(fields, as_json=as_json, lines=[_relative(path, root)])
    return 0


@app.command("list")
def list_specs(as_json: AsJson = False) -> int:
    """Print all active specs, the highest priority first, and what is wrong with files that are not valid specs.

    The last column is what an approved spec waits for, the branch and commit of a completed one, or why one failed.

    Exit code 0 also if there are none.
    """
    place = here()
    entries = SpecFolder(place.root).entries()
    specs = [entry.file.spec for entry in entries if entry.file]
    waiting = dict(_waiting(place, specs))
    fields: SpecsOutput = {
        "specs": specs,
        "invalid": [problem for entry in entries for problem in _problems(entry)],
        "waiting": [{"spec": name, "reason": reason} for name, reason in waiting.items()],
    }
    rows = output.table([_row(spec, waiting.get(spec.id, "")) for spec in specs])
    lines = [*rows, *(line for entry in entries if entry.error for line in entry.error.message.splitlines())]
    output.result(fields, as_json=as_json, lines=lines or ["there are no specs; write one: aegis-tui spec new TEXT"])
    return 0


@app.command()
def show(spec: Annotated[str, typer.Argument(metavar="ID", help="The id of a spec.")], as_json: AsJson = False) -> int:
    """Print a spec, active or in the archive.

    Exit code 2 if there is no spec with that id, 3 if its file is not valid.
    """
    root = here().root
    path = SpecFolder(root).find(spec)
    file = load_spec(path)
    fields: SpecOutput = {"specs": [file.spec], "path": _relative(path, root)}
    output.result(fields, as_json=as_json, lines=file.text.splitlines())
    return 0


@app.command()
def approve(
    spec: Annotated[str, typer.Argument(metavar="ID", help="The id of a spec.")], as_json: AsJson = False
) -> int:
    """Set the status of a spec to `approved`: a running hub starts to work on it.

    A spec that nobody filled in is refused: the fields that still have the text of a template are named.

    Exit code 2 if there is none with that id, 3 if its present status does not allow that, it is not filled in, or its
    file is not a valid spec, 4 if another program keeps the file open.
    """
    root = here().root
    folder = SpecFolder(root)
    file = folder.move(spec, "approved", by="person", author=author_in(root) or "person", now=datetime.now(UTC))
    path = _relative(folder.find(spec), root)
    fields: SpecOutput = {"specs": [file.spec], "path": path}
    output.result(fields, as_json=as_json, lines=[f"{spec} is approved"])
    return 0


@app.command()
def ping(spec: Annotated[str, typer.Argument(metavar="ID", help="The id of a spec.")], as_json: AsJson = False) -> int:
    """Have the hub read a spec now, and print its status. The hub is started if none is running.

    Exit code 2 if there is no file with that id, 5 if the hub cannot be started.
    """
    return _rescan(as_json=as_json, spec_id=spec)


@app.command()
def rescan(as_json: AsJson = False) -> int:
    """Have the hub read all specs now, and print their status. The hub is started if none is running.

    Exit code 5 if the hub cannot be started.
    """
    return _rescan(as_json=as_json)


def _rescan(*, as_json: bool, **fields: str) -> int:
    reply = here().started_hub().reply(SpecRescanReply, "spec:rescan", **fields)
    rows = [[item["spec_id"], item["status"], item["run"] or "", item["title"]] for item in reply["specs"]]
    problems = [f"{item['spec']}: {item['reason']}" for item in reply["problems"]]
    seen: SpecsSeenOutput = {"specs": reply["specs"], "problems": reply["problems"]}
    output.result(seen, as_json=as_json, lines=[*output.table(rows), *problems] or ["there are no specs"])
    return 0


@app.command()
def validate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="The files to check; all active specs when left out."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check spec files. Every problem is printed with file, line and field.

    Exit code 3 if a file is not a valid spec, 2 if one cannot be read.
    """
    entries = [_checked(path) for path in files] if files else SpecFolder(here().root).entries()
    if problems := [problem for entry in entries for problem in _problems(entry)]:
        lines = [line for entry in entries if entry.error for line in entry.error.message.splitlines()]
        hint = "correct each line named; aegis-tui spec schema prints every field"
        raise Refused("\n".join(lines), hint, code="spec.invalid", issues=problems)
    fields: SpecsCheckedOutput = {"valid": [entry.file.spec.id for entry in entries if entry.file]}
    output.result(fields, as_json=as_json, lines=[f"{counted(len(entries), 'spec')}, all valid"])
    return 0


@app.command()
def schema(
    into: Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file instead of stdout.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Put it in the field `json_schema` of an object.")] = False,
) -> int:
    """Print the JSON Schema of a spec file, for editors. Exit code 2 if the file cannot be written."""
    text = json.dumps(spec_schema(), indent=2)
    if into is None:
        fields: SpecSchemaOutput = {"json_schema": spec_schema()}
        output.result(fields, as_json=as_json, lines=[text])
        return 0
    try:
        into.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {into}: {error.strerror}", "name a file in a folder that exists") from error
    output.talk(f"wrote {into}")
    return 0


def spec_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a spec file in the present form."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Spec.model_json_schema()}


def author_in(root: Path) -> str:
    """Return the name of the person as git knows it; empty if it has none."""
    argv = ["git", "-C", str(root), "config", "user.name"]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=10, check=False)
    return done.stdout.strip()


def _checked(path: Path) -> SpecEntry:
    try:
        return SpecEntry(path, load_spec(path), None)
    except Refused as error:
        return SpecEntry(path, None, error)


def _problems(entry: SpecEntry) -> list[SpecProblem]:
    error: AegisError | None = entry.error
    if error is None:
        return []
    whole: SpecProblem = {"file": entry.path.name, "line": None, "field": "", "message": error.message}
    return list(error.data.get("issues", [whole]))


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root))


def _waiting(place: Place, specs: Sequence[Spec]) -> Iterator[tuple[str, str]]:
    """Yield for each approved spec what it waits for, as its id and a reason; the reason is never empty."""
    approved = [spec for spec in specs if spec.status == "approved"]
    if not approved:
        return
    try:
        address = place.find()
        known = HubQuick(address, timeout_s=COMMAND_TIMEOUT_S).context()["specs"] if address else None
    except HubUnavailable as error:
        yield from ((spec.id, error.message) for spec in approved)
        return
    folder = SpecFolder(place.root)
    completed = {spec.id for spec in specs if spec.status == "completed"}
    for spec in approved:
        state = None if known is None else known.get(spec.id)
        others = [name for name in spec.dependencies if name not in completed and not folder.is_archived(name)]
        reason = "no hub is running" if known is None else state["waits"] if state else "the hub has not read it yet"
        yield spec.id, reason or (f"after {listed(others)}" if others else "its turn")


def _row(spec: Spec, waits: str) -> list[str]:
    done = sum(task.status == "completed" for task in spec.tasks)
    note = f"waits: {waits}" if waits else spec.result or spec.error
    return [spec.id, spec.status, spec.priority, f"{done}/{len(spec.tasks)}", spec.metadata.title, note]
