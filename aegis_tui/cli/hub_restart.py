"""`aegis-tui hub restart`: start the hub with another version or environment, without losing a step (HUB-1).

A step of a run is an effect. It is safe to repeat, but QA that is interrupted after half an hour has to begin again.
The hub is therefore ended while no step is due. Agents continue meanwhile.
"""

from __future__ import annotations

import time

from aegis_tui.cli import output
from aegis_tui.cli.hub_stop import stop_hub
from aegis_tui.cli.place import Place
from aegis_tui.errors import HubUnavailable, Refused
from aegis_tui.sdk.discovery import find_hub, find_process
from aegis_tui.sdk.quick import HubAddress, HubQuick

WAIT_S = 60.0
_POLL_S = 0.2
_NOW = "aegis-tui hub restart --now ends it at once; a step that is interrupted begins again"


def restart_hub(place: Place, *, now: bool, wait_s: float = WAIT_S) -> HubAddress:
    """End the hub between two steps of its work and start it again; return its address. If none is running, start it.

    What it waits for is printed on stderr. Without `now`, a hub that does not answer at the beginning is ended at once.

    Args:
        place: The workspace.
        now: End the hub at once, even in the middle of a step, which the next hub then repeats.
        wait_s: Without `now`: how many seconds to wait at most until no step is due.

    Raises:
        Refused: Code `hub.busy`: steps are still due after `wait_s`, or the hub's state cannot be read. The hub was not
            ended.
        HubUnavailable: The hub does not end, or the new one does not start.
    """
    if find_process(place.paths) is not None:
        if not now:
            _wait_for_a_pause(place, wait_s)
        stop_hub(place)
    return place.started()


def _wait_for_a_pause(place: Place, wait_s: float) -> None:
    end, said = time.monotonic() + wait_s, ""
    while steps := _steps(place):
        words = ", ".join(steps)
        if time.monotonic() > end:
            raise Refused(f"the hub is busy: {words}", _NOW, code="hub.busy")
        if words != said:
            output.talk(f"waiting for: {words}")
            said = words
        time.sleep(_POLL_S)


def _steps(place: Place) -> list[str]:
    """Return what the hub is doing or about to begin for the run, such as creating a worktree, in a few words for each.

    Empty if there is nothing, or if no hub answers.

    Raises:
        Refused: Code `hub.busy`: the hub stops answering meanwhile, or this version cannot read its state.
    """
    from aegis_tui.domain.effect import needed, step_words
    from aegis_tui.domain.workspace import Workspace

    try:
        address = find_hub(place.paths)
        workspace = Workspace.load(HubQuick(address).mirror()) if address else Workspace()
    except HubUnavailable as error:
        raise Refused(error.message, _NOW, code="hub.busy") from error
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("this version of the program cannot read the hub's state", _NOW, code="hub.busy") from error
    return [step_words(effect) for effect in needed(workspace)]
