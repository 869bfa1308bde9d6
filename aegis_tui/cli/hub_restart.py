"""`aegis-tui hub restart`: the hub of another version, or of another environment, without the loss of a step (HUB-1).

A step of a run is an effect: it is safe to do again, but QA that is cut off after half an hour begins anew. So the hub
is ended when none is due. Agents go on meanwhile.
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
_NOW = "aegis-tui hub restart --now ends it at once; a step that is cut off begins anew"


def restart_hub(place: Place, *, now: bool, wait_s: float = WAIT_S) -> HubAddress:
    """End the hub between two steps of its work and start it again; start it where none runs.

    Args:
        place: The workspace.
        now: Do not wait for the end of a step.
        wait_s: How long to wait for it.

    Raises:
        Refused: Code `hub.busy`: it is at work for longer than that, or does not say what it is at.
        HubUnavailable: It does not end, or none starts.
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
            raise Refused(f"the hub is at work: {words}", _NOW, code="hub.busy")
        if words != said:
            output.talk(f"waiting for the end of: {words}")
            said = words
        time.sleep(_POLL_S)


def _steps(place: Place) -> list[str]:
    """What the state calls for now, in words; also what has not begun yet, for it begins at once."""
    from aegis_tui.domain.effect import needed, step_words
    from aegis_tui.domain.workspace import Workspace

    try:
        address = find_hub(place.paths)
        workspace = Workspace.load(HubQuick(address).mirror()) if address else Workspace()
    except HubUnavailable as error:
        raise Refused(error.message, _NOW, code="hub.busy") from error
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("the hub's state is of a form that this program cannot read", _NOW, code="hub.busy") from error
    return [step_words(effect) for effect in needed(workspace)]
