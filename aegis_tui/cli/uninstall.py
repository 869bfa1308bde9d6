"""`aegis-tui uninstall`: removes what the program keeps of a repository, or of all of them (CLI-2)."""

from __future__ import annotations

import asyncio
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.agreement import agrees
from aegis_tui.cli.hub_stop import stop_hub
from aegis_tui.cli.place import Place, here
from aegis_tui.config_files import user_file
from aegis_tui.domain.count import counted
from aegis_tui.domain.wire.machine import UninstalledWorkspace, UninstallOutput
from aegis_tui.errors import AegisError, Refused
from aegis_tui.sdk.workspaces import known_workspaces

if TYPE_CHECKING:
    from aegis_tui.application.uninstall import KeptState

_MIB = 1024 * 1024
_QUESTION = "remove this? The history of runs is deleted; work that is nowhere else is saved first."


def _uninstall(
    every: Annotated[bool, typer.Option("--all", help="Do it for every repository that has a workspace.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> int:
    """Remove what the program keeps of this repository, after saving work that is nowhere else.

    That is the log with the history of its runs, transcripts, worktrees, the refs of runs, and what init has written;
    the hub and the tmux server are ended. Uncommitted work and commits that only these refs lead to are saved in a
    bundle in the git folder, from which git fetch restores them. The branches of results stay. What the program keeps
    outside of repositories is listed at the end, and stays too.

    Exit code 1 if you answer no, or something could not be removed; 2 if --yes is missing and you cannot be asked
    because there is no terminal; 3 if a run has not ended, or if an agent runs this command; 5 outside a repository.
    """
    if os.environ.get("AEGIS_INSTANCE"):
        raise Refused("agents may not uninstall", "leave it to the person", code="person.only")
    places = _places() if every else [here()]
    items = [item for item in map(_looked_at, places) if every or _is_something(item)]
    if not items:
        output.talk("nothing is kept of this repository" if not every else "no repository has a workspace")
        return _print(items, as_json=as_json)
    if dry_run:
        return _print(items, as_json=as_json, planned=True)
    for item in items:
        output.talk(_line(item))
    if not any(not item["why_kept"] for item in items):
        return _print(items, as_json=as_json)
    if not yes and not agrees(_QUESTION, verb="remove this"):
        output.talk("nothing was removed")
        return 1
    for place, item in zip(places, items, strict=True):
        if not item["why_kept"]:
            _remove(place, item)
    return _print(items, as_json=as_json)


def _places() -> list[Place]:
    return [Place(known.root or Path(), known.paths) for known in known_workspaces(os.environ)]


def _looked_at(place: Place) -> UninstalledWorkspace:
    """Return what there is of a workspace, with the reason if it must be kept; nothing is changed."""
    item: UninstalledWorkspace = {
        "root": None if place.root == Path() else str(place.root),
        "state_dir": str(place.paths.state_dir),
        "state_bytes": 0,
        "worktrees": 0,
        "refs": 0,
        "written_by_init": False,
        "removed": False,
        "bundle": None,
        "why_kept": "",
    }
    if not place.root.is_dir() or place.root == Path():
        return {
            **item,
            "why_kept": (
                f"the repository is {'not known' if place.root == Path() else 'gone'}, so work in its worktrees cannot "
                "be saved; if you do not need this work, "
                f"delete the state folder yourself: rm -r {shlex.quote(str(place.paths.state_dir))}"
            ),
        }
    try:
        if run := _open_run(place):
            return {**item, "why_kept": f"{run} has not ended; end it: aegis-tui cancel {run}"}
        kept = asyncio.run(_look(place))
    except (AegisError, OSError) as error:
        return {**item, "why_kept": _reason(error)}
    return {
        **item,
        "state_bytes": kept.state_bytes,
        "worktrees": kept.worktrees,
        "refs": kept.refs,
        "written_by_init": kept.written_by_init,
    }


def _reason(error: Exception) -> str:
    hint = error.hint if isinstance(error, AegisError) else ""
    return f"{error}; {hint}" if hint else str(error)


def _is_something(item: UninstalledWorkspace) -> bool:
    return any((item["state_bytes"], item["worktrees"], item["refs"], item["written_by_init"], item["why_kept"]))


def _open_run(place: Place) -> str | None:
    """Return the id of the run that has not ended, from the log; None without one.

    Raises:
        StoreError: The log is damaged.
    """
    from aegis_tui.bootstrap.log import log_reader

    if not place.paths.log_db.exists():
        return None
    run = log_reader(place.paths).workspace().runs.current()
    return None if run is None else run.run


async def _look(place: Place) -> KeptState:
    from aegis_tui.bootstrap.uninstall import make_uninstall

    return await (await make_uninstall(place.root, place.paths)).look()


def _remove(place: Place, item: UninstalledWorkspace) -> None:
    """End hub, agents and tmux server of a workspace and remove it; note in `item` what was done, or why it was not."""
    from aegis_tui.bootstrap.uninstall import without_hub

    try:
        stop_hub(place)
        with without_hub(place.paths):
            if run := _open_run(place):
                raise Refused(f"{run} has started meanwhile", f"end it: aegis-tui cancel {run}")
            bundle = asyncio.run(_removed(place))
    except (AegisError, OSError) as error:
        item["why_kept"] = _reason(error)
        return
    item["removed"], item["bundle"] = True, None if bundle is None else str(bundle)


async def _removed(place: Place) -> Path | None:
    from aegis_tui.bootstrap.panes import close_workspace
    from aegis_tui.bootstrap.uninstall import make_uninstall

    await close_workspace(place.paths, os.environ)
    return await (await make_uninstall(place.root, place.paths)).remove()


def _line(item: UninstalledWorkspace) -> str:
    where = item["root"] or item["state_dir"]
    if item["why_kept"]:
        return f"{where}: kept; {item['why_kept']}"
    parts = [
        f"{item['state_bytes'] / _MIB:,.0f} MiB in {item['state_dir']}",
        counted(item["worktrees"], "worktree"),
        f"{counted(item['refs'], 'ref')} of runs",
        *(["the files of init"] if item["written_by_init"] else []),
    ]
    return f"{where}: {', '.join(parts)}"


def _plan(item: UninstalledWorkspace) -> list[str]:
    if item["why_kept"]:
        return [_line(item)]
    return [f"would remove what is kept of {_line(item)}", "  and end its hub and its tmux server if they run"]


def _print(items: list[UninstalledWorkspace], *, as_json: bool, planned: bool = False) -> int:
    """Print what was done, and return the exit code: 0, or 1 if something was kept.

    With `planned`, print what would be removed; the exit code is 1 only if all of it would be kept.
    """
    left = [str(path) for path in _own_places() if path.exists()]
    kept = [bool(item["why_kept"]) for item in items]
    lines = [item_line for item in items for item_line in _plan(item)] if planned else []
    for item in items:
        if item["removed"]:
            lines.append(f"removed what was kept of {item['root']}")
        if item["bundle"]:
            lines += [f"saved {item['bundle']}", f"  to restore: git fetch {item['bundle']} 'refs/*:refs/*'"]
    lines += [f"left for you to delete: {path}" for path in left]
    output.result(UninstallOutput(workspaces=items, left=left), as_json=as_json, lines=lines)
    return int(all(kept) if planned else any(kept))


def _own_places() -> list[Path]:
    """Return where the program keeps files outside of repositories: the settings file, programs, and choices."""
    from aegis_tui.sdk.discovery import workspace_paths

    data = os.environ.get("XDG_DATA_HOME") or str(Path(os.environ.get("HOME") or Path.home()) / ".local" / "share")
    state = workspace_paths("0" * 12, os.environ).state_dir.parent
    return [user_file(os.environ), Path(data) / "aegis-tui", state / "choices.json"]


uninstall_app = typer.Typer(add_completion=False)
uninstall_app.command()(_uninstall)
