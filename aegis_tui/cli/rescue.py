"""`aegis-tui rescue`: work that was saved before its worktree was removed (contract 9, GIT-1)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.domain.count import counted
from aegis_tui.errors import Conflict, UsageError

if TYPE_CHECKING:
    from aegis_tui.application.rescue import Rescues
    from aegis_tui.domain.wire.output import PrunedOutput, RescueOutput, RescuesOutput, RestoredOutput, SavedWork
    from aegis_tui.ports.rescues import RescuedWork

rescue_app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Work that was saved before its worktree was removed."
)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Ref = Annotated[str, typer.Argument(metavar="REF", help="The ref, in full or as run1/w01/1.")]

_KIB, _MIB = 1024, 1024 * 1024


@rescue_app.callback()
def rescues() -> None:
    """Work that was saved before its worktree was removed."""


@rescue_app.command(name="list")
def list_rescues(as_json: AsJson = False) -> int:
    """List all saved work, oldest first: when it was saved, how large it is, and whether all of it is merged.

    No hub is needed. Exit code 5 outside a repository.
    """
    saved = asyncio.run(_all())
    rows = [
        [item.ref, item.oid[:12], _saved_at(item), _size(item.size_bytes), "merged" if item.is_merged else "not merged"]
        for item in saved
    ]
    fields: RescuesOutput = {"rescues": [_fields(item) for item in saved]}
    output.result(fields, as_json=as_json, lines=output.table(rows) or ["there is no saved work"])
    return 0


@rescue_app.command()
def show(
    ref: Ref,
    diff: Annotated[bool, typer.Option("--diff", help="Print the changes too.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show which files saved work contains: changed, staged and ignored ones.

    No hub is needed. Exit code 2 if there is no such ref, 1 if git fails.
    """
    work, files, text = asyncio.run(_shown(ref, with_diff=diff))
    fields: RescueOutput = cast("RescueOutput", _fields(work))
    fields["files"] = [{"status": status, "path": path} for status, path in files.changed]
    fields["staged"], fields["ignored"] = list(files.staged), list(files.ignored)
    fields["not_saved"] = list(files.not_saved)
    if diff:
        fields["diff"] = text
    lines = [f"{work.ref}, saved {_saved_at(work)}, {'merged' if work.is_merged else 'not merged'}"]
    lines += [f"{status} {path}" for status, path in files.changed]
    lines += [f"staged with content that differs from the saved file: {path}" for path in files.staged]
    lines += [f"ignored: {path}" for path in files.ignored]
    lines += [f"not saved, too large: {path}" for path in files.not_saved]
    output.result(fields, as_json=as_json, lines=[*lines, *text.splitlines()])
    return 0


@rescue_app.command()
def restore(
    ref: Ref,
    branch: Annotated[
        str | None,
        typer.Option("--branch", metavar="NAME", help="The branch to create; by default rescued/RUN-INSTANCE-N."),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="FOLDER", help="Write all files into this new folder instead, including ignored ones."
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Make saved work usable again: create a branch from it, or write its files into a new folder.

    Your checkout, index and stash stay as they are. No hub is needed. Exit code 2 if there is no such ref or the folder
    is not empty, 4 if a branch of that name already exists, 1 if git fails.
    """
    name = branch or f"rescued/{ref.removeprefix('refs/aegis/rescue/').replace('/', '-')}"
    if to is not None and (to.exists() and (not to.is_dir() or any(to.iterdir()))):
        raise UsageError(f"{to} is not an empty folder", "name a new one: --to FOLDER")
    work = asyncio.run(_restored(ref, name, to.absolute() if to else None))
    words = (
        f"its files are in {to}" if to else f"look at it: git log -p -1 {name}; apply it: git cherry-pick -m 1 {name}"
    )
    fields: RestoredOutput = cast("RestoredOutput", _fields(work))
    if to:
        fields["folder"] = str(to)
    else:
        fields["branch"] = name
    output.result(fields, as_json=as_json, lines=[words])
    return 0


@rescue_app.command()
def prune(
    refs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REF]...", help="The refs to delete; when left out, all that the settings no longer keep."
        ),
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(
            "--older-than", min=0, metavar="DAYS", help="Also delete work that is not merged, if it is older than this."
        ),
    ] = None,
    merged: Annotated[bool, typer.Option("--merged", help="Delete all work that is merged, whatever its age.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete it; without this it is only listed.")] = False,
    as_json: AsJson = False,
) -> int:
    """Delete the saved work that the rescue settings no longer keep, or the refs that you name.

    Nothing is deleted without --yes. git keeps the objects of deleted work for about two weeks; until then, git branch
    NAME OID brings it back. No hub is needed. Exit code 2 if there is no such ref, 1 if git fails.
    """
    due = asyncio.run(_pruned(refs or [], older_than=older_than, merged=merged, yes=yes))
    fields: PrunedOutput = {"deleted": yes, "rescues": [_fields(item) for item in due]}
    word = "deleted" if yes else "would delete"
    lines = [f"{word} {item.ref} {item.oid} {'merged' if item.is_merged else 'NOT MERGED'}" for item in due]
    if due and not yes:
        lines.append(f"to delete {counted(len(due), 'ref')}: repeat this with --yes")
    output.result(fields, as_json=as_json, lines=lines or ["nothing to delete"])
    return 0


async def _open() -> Rescues:
    from aegis_tui.bootstrap.checkout import rescues_at

    return await rescues_at(here().root)


async def _all() -> tuple[RescuedWork, ...]:
    return await (await _open()).store.list_all()


async def _shown(ref: str, *, with_diff: bool) -> tuple[RescuedWork, Any, str]:
    rescues = await _open()
    work = await rescues.find(ref)
    return work, await rescues.store.files_of(work), await rescues.store.diff_of(work) if with_diff else ""


async def _restored(ref: str, branch: str, to: Path | None) -> RescuedWork:
    rescues = await _open()
    work = await rescues.find(ref)
    if to is not None:
        await rescues.store.write_out(work, to)
        return work
    try:
        await rescues.store.make_branch(work, branch)
    except Conflict as error:
        raise Conflict(
            f"the branch {branch} already exists", "name another: --branch NAME", code="ref.exists"
        ) from error
    return work


async def _pruned(refs: list[str], *, older_than: float | None, merged: bool, yes: bool) -> list[RescuedWork]:
    from dataclasses import replace

    from aegis_tui.bootstrap.checkout import retention_of

    rescues = await _open()
    if refs:
        due = [await rescues.find(ref) for ref in refs]
    else:
        retention = retention_of(here().settings)
        if older_than is not None:
            retention = replace(retention, days=older_than or 1e-9)
        due = await rescues.due(replace(retention, merged_days=0) if merged else retention)
    if yes:
        await rescues.delete(due)
    return due


def _fields(work: RescuedWork) -> SavedWork:
    return {
        "ref": work.ref,
        "oid": work.oid,
        "run": work.run,
        "instance": work.instance,
        "saved_at": _saved_at(work),
        "size_bytes": work.size_bytes,
        "merged": work.is_merged,
    }


def _saved_at(work: RescuedWork) -> str:
    return datetime.fromtimestamp(work.saved_unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _size(size_bytes: int) -> str:
    return f"{size_bytes / _MIB:.1f} MiB" if size_bytes >= _MIB else f"{size_bytes / _KIB:.0f} KiB"
