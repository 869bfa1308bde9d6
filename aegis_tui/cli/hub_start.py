"""`aegis-tui hub start` in the background, and what a hub says of itself; without Typer, a sixth of the wait (PERF-3).

What `run_plain` does not understand to the letter is left to Typer, which knows the same options.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aegis_tui.cli import output
from aegis_tui.cli.place import Place, here
from aegis_tui.sdk.quick import HubAddress, HubQuick

_NOUNS = ("hub", "server")


def run_plain(arguments: list[str]) -> int | None:
    """Start the hub where nothing else was said than that, or `--json`; None leaves it to Typer.

    Raises:
        AegisError: The hub does not start, or there is no repository.
    """
    if arguments[:1] not in ([noun] for noun in _NOUNS) or arguments[1:] not in (["start"], ["start", "--json"]):
        return None
    return start(None, as_json="--json" in arguments)


def start(root: Path | None, *, as_json: bool) -> int:
    """Start the hub of a folder's repository unless it runs, and say where it serves.

    Raises:
        AegisError: As `run_plain`.
    """
    place = here(root)
    address = place.started()
    fields = status_fields(place, address)
    output.result(fields, as_json=as_json, lines=[f"hub {address.pid} serves {address.url}"])
    return 0


def status_fields(place: Place, address: HubAddress | None) -> dict[str, Any]:
    """What `hub status --json` prints of a hub; None for one that does not run (contract 9)."""
    fields: dict[str, Any] = {
        "running": address is not None,
        "pid": address.pid if address else None,
        "url": address.url if address else None,
        "socket": address.socket if address else None,
        "token_file": str(place.paths.hub_json),
        "seq": None,
        "instances": None,
    }
    if address is not None:
        state = HubQuick(address).state()
        living = [item for item in state["instances"] if item["phase"] in ("launched", "joined")]
        fields |= {"seq": state["seq"], "instances": len(living)}
    return fields
