"""`aegis-tui hub`: start, stop, restart, repair and inspect the hub of this repository (HUB-1)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.foreground import serve
from aegis_tui.cli.hub_restart import WAIT_S, restart_hub
from aegis_tui.cli.hub_start import gateway_line, status_fields
from aegis_tui.cli.hub_start import start as begin
from aegis_tui.cli.hub_stop import clear_checks, close_idle_parts, end_run, stop_hub
from aegis_tui.cli.place import here
from aegis_tui.domain.count import counted
from aegis_tui.domain.wire.output import RepairOutput
from aegis_tui.errors import UsageError
from aegis_tui.sdk.discovery import find_process

if TYPE_CHECKING:
    from aegis_tui.ports.log_file import Salvage

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The background process that owns the state of this repository."
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command()
def start(
    foreground: Annotated[bool, typer.Option("--foreground", help="Run the hub in this terminal.")] = False,
    root: Annotated[Path | None, typer.Option("--root", help="A folder in the repository.")] = None,
    as_json: AsJson = False,
) -> int:
    """Start the hub, unless it is running.

    Returns when the hub answers. With --foreground, returns only when the hub is stopped, and --json has no effect.
    Exit code 5 if the hub does not start or does not answer, outside a repository, or with --foreground if a hub is
    running already; 2 if the folder of --root does not exist or, with --foreground, if a setting is wrong.
    """
    if foreground:
        return serve(root)
    return begin(root, as_json=as_json)


@app.command()
def stop(
    force: Annotated[bool, typer.Option("--force", help="End an open run first; its work is saved.")] = False,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Let agents continue without a hub, for as long as the setting orphan_s allows."),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Stop the hub. While a run is open, ask whether to end its agents and save their work, or to let them continue.

    The model gateway and the tmux server end too, unless agents continue. A hub that does not answer is ended without a
    question. If no hub is running, the command says so; with --force it then starts one for a moment, to end a run that
    is still open in the log.

    With --force or --keep nothing is asked. Without them, exit code 3 if a run is open and you cannot be asked because
    there is no terminal, or if you choose neither. Exit code 2 if both are given, 5 if the agents have not ended after
    120 s or the hub does not end. After Ctrl-C at the question nothing is ended, and the exit code is 130.
    """
    if force and keep:
        raise UsageError("--force and --keep cannot be combined", "aegis-tui hub stop --help")
    place = here()
    address = find_process(place.paths)
    if not keep:
        end_run(place, force=force)
    stop_hub(place)
    clear_checks(place)
    if not keep:
        close_idle_parts(place)
    words = "no hub was running" if address is None else f"hub {address.pid} stopped"
    output.result(status_fields(place, None), as_json=as_json, lines=[words])
    return 0


@app.command()
def restart(
    now: Annotated[
        bool, typer.Option("--now", help="Interrupt what the hub is doing; the new one does it again.")
    ] = False,
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to wait until the hub is between two tasks.")
    ] = WAIT_S,
    as_json: AsJson = False,
) -> int:
    """Replace the running hub with one of this version; agents continue.

    The hub first finishes what it is doing for a run, such as a merge or a new worktree; with --now, or if it does not
    answer, the command does not wait for that. If no hub is running, one is started.

    Exit code 3 if the hub has not finished after --wait seconds, 130 after Ctrl-C during the wait; in both cases
    the old hub continues. Exit code 5 if the hub does not end or the new one does not start.
    """
    place = here()
    address = restart_hub(place, now=now, wait_s=wait)
    output.result(status_fields(place, address), as_json=as_json, lines=[f"hub {address.pid} serves {address.url}"])
    return 0


@app.command()
def status(as_json: AsJson = False) -> int:
    """Show whether the hub is running, and its address.

    Never starts a hub. Exit code 0 whether one is running or not; 5 if it is running but does not answer, or outside a
    repository.
    """
    place = here()
    address = place.find()
    fields = status_fields(place, address)
    if address is None:
        output.result(fields, as_json=as_json, lines=["no hub is running here; start it: aegis-tui hub start"])
        return 0
    lines = [
        f"hub {address.pid} serves {address.url}",
        f"newest event {fields['seq']}, {counted(fields['instances'] or 0, 'instance')}",
        gateway_line(address),
    ]
    output.result(fields, as_json=as_json, lines=lines)
    return 0


@app.command()
def repair(as_json: AsJson = False) -> int:
    """Make a damaged log usable again. Events after the first damage are lost; the damaged file is kept.

    If nothing is damaged, or there is no log, nothing is changed. Exit code 5 if a hub is running, which has to be
    stopped first; 1 if a file cannot be read or written, or if a newer version wrote the log.
    """
    from aegis_tui.bootstrap.log import repair_log

    done = repair_log(here().paths)
    if done is None:
        output.result(RepairOutput(repaired=False), as_json=as_json, lines=["nothing is wrong with the log"])
        return 0
    aside = str(done.put_aside) if done.put_aside else None
    fields: RepairOutput = {
        "repaired": True,
        "kept": done.kept,
        "lost": done.lost,
        "put_aside": aside,
        "answers_lost": not done.are_answers_whole,
    }
    output.result(fields, as_json=as_json, lines=_repair_lines(done))
    return 0


def _repair_lines(done: Salvage) -> list[str]:
    first, last = done.lost or (0, 0)
    if not done.lost:
        lost = "no acknowledged event is lost"
    elif done.is_certain:
        lost = f"events {first} to {last} are lost"
    else:
        lost = f"later events may be lost, so the numbers up to {last} are skipped: the next event has a greater one"
    lines = [f"{counted(done.kept, 'event')} kept; {lost}"]
    if not done.kept or not done.is_certain:
        lines.append("agents that you connected yourself have to connect again")
    elif not done.are_answers_whole:
        lines.append(
            "the replies to some requests are lost: if one of these requests is repeated, it is executed again"
        )
    if done.put_aside:
        lines.append(f"the damaged log is kept: {done.put_aside}")
    return lines
