"""Stops a hub, and what would be of no use without it: agents, gateway, tmux server (HUB-1, PANE-8)."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aegis_tui.cli import output
from aegis_tui.cli.place import Place, has_ended
from aegis_tui.errors import AegisError, HubUnavailable, Refused
from aegis_tui.sdk.discovery import find_hub, find_process, is_running

if TYPE_CHECKING:
    from aegis_tui.domain.wire.context import SharedContext

STOP_DEADLINE_S = 30.0
"""How long a hub may take to end after SIGTERM.

It waits for worktrees that are being created, for its checks and for its gateway, one after the other.
"""

KILL_DEADLINE_S = 5.0
SAVE_DEADLINE_S = 120.0
"""How long it may take to end the agents of a run and to save their work."""

_POLL_S = 0.2
_OPEN = ("ACTIVE", "HALTED")
_GONE = ("reclaimed", "planned")


def end_run(place: Place, *, force: bool) -> None:
    """End the open run, save the work of its agents, and wait until their worktrees are removed; if none, do nothing.

    If the run is ending already, wait for that. Without `force`, a person at a terminal is asked first, who may also
    let the agents continue; then the run stays open. Without `force` nothing happens if no hub answers.

    Args:
        place: The workspace.
        force: Do not ask. If no hub answers, start another one to end the run.

    Raises:
        Refused: A run is open, and there is no terminal to ask at, or the person chose to do nothing.
        HubUnavailable: The hub stops answering, or cannot be started or ended; or the agents have not ended within
            `SAVE_DEADLINE_S` (120 s).
        StoreError: With `force` and no hub that answers: the log is damaged.
    """
    if find_hub(place.paths) is None:
        if not force:
            return
        stop_hub(place)
        if not _has_open_run(place):
            return
    hub = place.started_hub()
    run = hub.context()["run"]
    if run is None or run["status"] not in (*_OPEN, "ENDING"):
        return
    if run["status"] in _OPEN:
        if not force and not _may_end(run["run"], _living(hub.context())):
            return
        hub.command("run:cancel", run=run["run"], reason="the hub is stopped")
    _wait_until_put_away(place, run["run"])


def _has_open_run(place: Place) -> bool:
    """Return whether the log has a run that has not ended and has instances: a hub would continue with it.

    False without a log. Call it while no hub is running.

    Raises:
        HubUnavailable: A hub is running, or the state folder cannot be written.
        StoreError: The log is damaged.
    """
    import asyncio

    from aegis_tui.bootstrap.log import open_instances

    return place.paths.log_db.exists() and bool(asyncio.run(open_instances(place.paths)))


def _may_end(run: str, living: list[str]) -> bool:
    """Ask the person on stderr whether the run may end; False means that its agents continue without a hub.

    Args:
        run: The run's id.
        living: The agent ids of its living instances, which the question names.

    Raises:
        Refused: There is no terminal to ask at, or the person chose neither of the two (code `hub.run-open`).
        KeyboardInterrupt: Ctrl-C at the question.
    """
    words = f"{run} has not ended; its running agents: {', '.join(living) or 'none'}"
    ways = "--force ends it and saves the work; --keep lets its agents continue without a hub for a while"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused(words, f"aegis-tui hub stop {ways}", code="hub.run-open")
    output.talk(
        f"{words}\n  e  end it and save the work in refs/aegis/rescue\n  k  let its agents continue without a hub\n"
        "  anything else: do nothing"
    )
    try:
        answer = input("> ").strip().lower()
    except EOFError:
        answer = ""
    if answer not in ("e", "k"):
        raise Refused("the hub was not stopped", f"aegis-tui hub stop {ways}", code="hub.run-open")
    return answer == "e"


def _living(state: SharedContext) -> list[str]:
    return [item["agent_id"] for item in state["instances"] if item["phase"] not in _GONE]


def _wait_until_put_away(place: Place, run: str) -> None:
    end, shown = time.monotonic() + SAVE_DEADLINE_S, ""
    while time.monotonic() < end:
        state = place.started_hub().context()
        living = [item for item in state["instances"] if item["run"] == run and item["phase"] != "reclaimed"]
        if state["run"] is None or (state["run"]["status"] == "COMPLETED" and not living):
            return
        if shown != (words := ", ".join(item["agent_id"] for item in living)):
            output.talk(f"saving the work of {words}" if words else f"{run} is being ended")
            shown = words
        time.sleep(_POLL_S)
    raise HubUnavailable(f"{run} has not ended after {SAVE_DEADLINE_S:.0f} s", f"read the log {place.paths.hub_log}")


def stop_hub(place: Place) -> None:
    """End the hub process of a workspace, even if it does not answer, and wait for its end.

    It gets SIGTERM, and SIGKILL if it is still running after `STOP_DEADLINE_S` (30 s). Without a hub, do nothing.

    Raises:
        HubUnavailable: It is still running `KILL_DEADLINE_S` (5 s) after SIGKILL.
    """
    address = find_process(place.paths)
    if address is None:
        return
    # A process that was stopped (SIGSTOP) handles SIGTERM only after SIGCONT.
    gently, firmly = ((signal.SIGTERM, signal.SIGCONT), STOP_DEADLINE_S), ((signal.SIGKILL,), KILL_DEADLINE_S)
    for numbers, deadline_s in (gently, firmly):
        for number in numbers:
            if is_running(address.pid, address.start_time):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(address.pid, number)
        if has_ended(address, deadline_s):
            return
    raise HubUnavailable(f"hub {address.pid} does not end, even after SIGKILL", f"read the log {place.paths.hub_log}")


def clear_checks(place: Place) -> None:
    """Remove the worktrees that QA checks leave behind when their hub is killed.

    Call it when the hub has ended; it would remove those of a running check, too. If there are none, do nothing; what
    git cannot remove is left, without an error.

    Raises:
        OSError: A folder of worktrees cannot be read.
    """
    import asyncio

    folder = place.paths.state_dir / "scratch"
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    from aegis_tui.bootstrap.checkout import leftovers_at

    async def clear() -> None:
        await (await leftovers_at(place.root, place.paths)).clear_scratch()

    with contextlib.suppress(AegisError):  # `worktree repair` reports what cannot be removed
        asyncio.run(clear())


def close_idle_parts(place: Place) -> None:
    """End the model gateway and the tmux server of a workspace, unless an agent is running in a pane.

    Call it when the hub has ended. If neither is there, return at once. What does not end, or does not answer, is left,
    without an error.
    """
    import asyncio

    tmux = Path(os.environ.get("TMUX_TMPDIR") or "/tmp") / f"tmux-{os.getuid()}" / f"aegis-{place.paths.key}"
    if not (tmux.exists() or (place.paths.runtime_dir / "gateway.json").exists()):
        return
    from aegis_tui.bootstrap.panes import close_idle_workspace

    with contextlib.suppress(AegisError):  # a gateway or tmux server that does not answer ends by itself
        asyncio.run(close_idle_workspace(place.paths, os.environ))
