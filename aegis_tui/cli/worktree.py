"""`aegis-tui worktree`: lists, repairs and removes the worktrees of instances (contract 9, GIT-1)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.hub_stop import close_idle_parts
from aegis_tui.cli.place import Place, here
from aegis_tui.domain.count import counted
from aegis_tui.domain.ids import instance_id
from aegis_tui.errors import Refused, UsageError

if TYPE_CHECKING:
    from aegis_tui.domain.wire.environment import WorktreeEnvironment
    from aegis_tui.domain.wire.instance import InstanceFields
    from aegis_tui.domain.wire.machine import (
        ListedWorktree,
        RemovedOutput,
        RemovedPart,
        WorktreeCondition,
        WorktreesOutput,
    )

worktree_app = typer.Typer(no_args_is_help=True, add_completion=False, help="Worktrees of instances.")
_MIB = 1024 * 1024
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@worktree_app.callback()
def worktrees() -> None:
    """Hold the subcommands of `worktree`; do nothing itself."""


@worktree_app.command(name="list")
def list_worktrees(as_json: AsJson = False) -> int:
    """List the worktrees of instances: those that the hub knows or, if no hub is running, those that git knows.

    Exit code 0 also if there are none. No hub is started. Exit code 5 if one is running and does not answer, or outside
    a repository; 2 if a setting is wrong; 1 if git fails or the log is damaged.
    """
    place = here()
    fields = _looked_at(place, _listed(place))
    rows = [
        [
            *(item["id"] or "", item["state"], _said(item["dirty"], "dirty"), _said(item["merged"], "merged")),
            *(mebibytes(item["size_bytes"]), environment_words(item["environment"])),
            item["path"],
        ]
        for item in fields
    ]
    size_bytes, budget_bytes = sum(item["size_bytes"] for item in fields), place.settings.worktrees.budget_mb * _MIB
    total = f"{mebibytes(size_bytes)} of {mebibytes(budget_bytes)} (worktrees.budget_mb)"
    listed: WorktreesOutput = {"worktrees": fields, "size_bytes": size_bytes, "budget_bytes": budget_bytes}
    lines = [*output.table(rows), total] if rows else ["no instance has a worktree"]
    output.result(listed, as_json=as_json, lines=lines)
    return 0


@worktree_app.command()
def repair(as_json: AsJson = False) -> int:
    """Remove worktrees and other leftovers that no instance uses; work that exists nowhere else is saved first.

    The work is saved in a rescue ref. Without a hub, the command also ends a gateway and a tmux server that no agent
    uses. What cannot be removed is listed as kept, with the reason, and the exit code is 0. Exit code 5 if a hub is
    running and does not answer, 1 if the log is damaged.
    """
    place = here()
    address = place.find()
    if address is None:
        close_idle_parts(place)
    runs = address is not None
    fields = asyncio.run(_removed(place, _claimed(place), is_running=runs))
    removed: RemovedOutput = {"removed": fields}
    output.result(removed, as_json=as_json, lines=map(_line, fields) if fields else ["nothing to repair"])
    return 0


@worktree_app.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="ID", help="The instance: w01, or in full NATIVE-w01.")],
    as_json: AsJson = False,
) -> int:
    """Remove the worktree of an instance that has ended; work that exists nowhere else is saved first.

    The work is saved in a rescue ref. No hub is needed. If the worktree cannot be removed, the reason is printed, and
    the exit code is 0. Exit code 2 if the instance has no worktree, 3 if it still uses it, 5 if a hub is running and
    does not answer.
    """
    place, short = here(), instance_id(name)
    known = next((item for item in _listed(place) if item["id"] == short), None)
    if known is None:
        raise UsageError(f"{name} has no worktree", "list them: aegis-tui worktree list")
    if known["path"] in _claimed(place):
        raise Refused(f"{name} is using its worktree", f"stop it first: aegis-tui stop {short}", code="worktree.busy")
    fields = asyncio.run(_removed(place, _claimed(place), only=short))
    removed: RemovedOutput = {"removed": fields}
    output.result(removed, as_json=as_json, lines=map(_line, fields))
    return 0


def mebibytes(size_bytes: int) -> str:
    """Return a size in words, in MiB."""
    return f"{size_bytes / _MIB:,.0f} MiB"


def _said(value: bool | None, word: str) -> str:
    return f"not known if {word}" if value is None else word if value else f"not {word}"


def _looked_at(place: Place, fields: list[ListedWorktree]) -> list[WorktreeCondition]:
    """Return the worktrees, each with whether it has uncommitted content, and whether its branch is merged.

    None if unknown.

    After a squash the history does not tell; the log does: it has the commit of each piece that was merged.

    Raises:
        HubUnavailable: A hub is running and does not answer.
        GitError: git fails.
        StoreError: The log is damaged.
    """
    from aegis_tui.bootstrap.checkout import heads_and_dirt, worktree_size
    from aegis_tui.sdk.environments import worktree_environment

    if not fields:
        return []
    merged = _merged_heads(place)
    conditions = asyncio.run(heads_and_dirt(place.root, [(item["path"], item["branch"] or "") for item in fields]))
    return [
        {
            **item,
            "dirty": dirty,
            "merged": None if head is None or merged is None else head in merged,
            "size_bytes": worktree_size(Path(item["path"])),
            "environment": worktree_environment(place.paths.instances_dir / (item["id"] or "none")),
        }
        for item, (head, dirty) in zip(fields, conditions, strict=True)
    ]


def environment_words(environment: WorktreeEnvironment | None) -> str:
    """Return in a few words what a worktree has besides the tracked files; empty if nothing was recorded."""
    if environment is None:
        return ""
    parts = [*(["set up"] if environment["prepared"] else []), *environment["places"]]
    if environment["copied"]:
        parts.append(counted(environment["copied"], "copy", "copies"))
    if environment["left_out"]:
        parts.append(f"{len(environment['left_out'])} not copied")
    if environment["ports"]:
        parts.append("ports {}-{}".format(*environment["ports"]))
    return ", ".join(parts) or "tracked files only"


def _merged_heads(place: Place) -> set[str] | None:
    """Return the commits of the pieces that the newest run has merged; None if there is no run.

    They come from the hub, or from the log if no hub is running.

    Raises:
        HubUnavailable: A hub is running and does not answer.
        StoreError: The log is damaged, or cannot be read.
    """
    if place.find() is not None:
        run = place.hub().context()["run"]
    elif place.paths.log_db.exists():
        from aegis_tui.bootstrap.log import log_reader
        from aegis_tui.domain.context import snapshot_view

        run = snapshot_view(log_reader(place.paths).workspace(), key=place.paths.key, now=0.0)["run"]
    else:
        run = None
    return {piece["applied_head"] for piece in run["pieces"] if piece["applied_head"]} if run else None


async def _removed(
    place: Place, claimed: Collection[str], *, only: str | None = None, is_running: bool = False
) -> list[RemovedPart]:
    from aegis_tui.bootstrap.checkout import leftovers_at

    leftovers = await leftovers_at(place.root, place.paths)
    removed = await leftovers.remove(claimed, only=only, is_running=is_running)
    return [{"kind": item.kind, "path": item.path, "rescued": item.rescue_ref, "kept": item.kept} for item in removed]


def _line(item: RemovedPart) -> str:
    if item["kept"]:
        return f"kept {item['kind']} {item['path']}: {item['kept']}"
    rescued = f", its work is kept in {item['rescued']}" if item["rescued"] else ""
    return f"removed {item['kind']} {item['path']}{rescued}"


def _listed(place: Place) -> list[ListedWorktree]:
    """Return id, path, branch and state of each worktree, from the hub if one is running, else from git.

    Without a hub, the state is `no hub`. Empty if there are no worktrees.

    Raises:
        HubUnavailable: A hub is running and does not answer.
        GitError: git fails.
    """
    if place.find() is not None:
        return [
            {"id": item["instance_id"], "path": item["worktree"], "branch": item["branch"], "state": item["phase"]}
            for item in place.hub().context()["instances"]
            if item["worktree"] and item["phase"] != "reclaimed"
        ]
    from aegis_tui.bootstrap.checkout import worktrees_at

    entries = asyncio.run(worktrees_at(place.root, place.paths))
    return [
        {"id": entry.instance, "path": str(entry.path), "branch": entry.branch, "state": "no hub"} for entry in entries
    ]


def _claimed(place: Place) -> frozenset[str]:
    """Return the paths of worktrees that instances use, or will use when the hub is started again.

    Those that are being made for instances without one are among them. All come from the hub, or from the log if no hub
    is running; empty if there is no log either.

    Raises:
        HubUnavailable: A hub is running and does not answer, or the state folder cannot be written.
        StoreError: The log is damaged.
    """
    if place.find() is not None:
        instances: Sequence[InstanceFields] = place.hub().context()["instances"]
    elif place.paths.log_db.exists():
        from aegis_tui.bootstrap.log import open_instances

        instances = asyncio.run(open_instances(place.paths))
    else:
        instances = []
    folder = place.paths.worktrees_dir
    living = (item for item in instances if item["phase"] != "reclaimed")
    return frozenset(item["worktree"] or str(folder / item["instance_id"]) for item in living)
