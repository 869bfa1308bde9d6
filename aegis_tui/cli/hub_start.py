"""`aegis-tui hub start` in the background, and the fields of `hub status`.

Runs without Typer, whose import would be a sixth of the waiting time (PERF-3). Arguments that `run_plain` does not
recognize exactly are left to Typer, which has the same options.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aegis_tui.cli import output
from aegis_tui.cli.place import Place, here
from aegis_tui.sdk.quick import HubAddress, HubQuick

if TYPE_CHECKING:
    from aegis_tui.domain.wire.output import GatewayFields, HubOutput

_NOUNS = ("hub", "server")


def run_plain(arguments: list[str]) -> int | None:
    """Start the hub if the arguments are exactly `hub start` or `hub start --json`; return the exit code 0.

    `server` is the same as `hub`. For any other arguments, do nothing and return None, so that Typer handles them.

    Raises:
        AegisError: The hub does not start or does not answer, or the current folder is not in a repository.
    """
    if arguments[:1] not in ([noun] for noun in _NOUNS) or arguments[1:] not in (["start"], ["start", "--json"]):
        return None
    return start(None, as_json="--json" in arguments)


def start(root: Path | None, *, as_json: bool) -> int:
    """Start the hub of the repository around `root` unless it is running, and print its address; return 0.

    Args:
        root: A folder in the repository; None for the current folder.
        as_json: Print the fields of `hub status --json`.

    Raises:
        AegisError: The hub does not start or does not answer, or the folder does not exist or is not in a repository.
    """
    place = here(root)
    address = place.started()
    fields = status_fields(place, address)
    output.result(fields, as_json=as_json, lines=[f"hub {address.pid} serves {address.url}"])
    return 0


def status_fields(place: Place, address: HubAddress | None) -> HubOutput:
    """Return the fields of `hub status --json` (contract 9); asks the hub for its state if there is one.

    Args:
        place: The workspace.
        address: The address of its hub; None if no hub is running: then `running` is False, and all other fields but
            `token_file` are None.

    Raises:
        HubUnavailable: The hub at that address does not answer.
        AegisError: It refuses the request.
    """
    fields: HubOutput = {
        "running": address is not None,
        "pid": address.pid if address else None,
        "url": address.url if address else None,
        "socket": address.socket if address else None,
        "token_file": str(place.paths.hub_json),
        "seq": None,
        "instances": None,
        "gateway": None,
    }
    if address is not None:
        state = HubQuick(address).context()
        living = [item for item in state["instances"] if item["phase"] in ("launched", "joined")]
        fields["seq"], fields["instances"] = state["seq"], len(living)
        fields["gateway"] = _gateway_fields(address)
    return fields


def _gateway_fields(address: HubAddress) -> GatewayFields:
    return {
        "state": "running" if address.gateway_url else "failed" if address.gateway_problem else "starting",
        "url": address.gateway_url,
        "socket": address.gateway_socket,
        "problem": address.gateway_problem,
    }


def gateway_line(address: HubAddress) -> str:
    """Return the line of `hub status` about the model gateway: its URL, and why it serves no model, if so.

    If there is no gateway, the line says why, or that it is being started. Asks nobody.

    Args:
        address: The address of the hub, with what hub.json says of the gateway.
    """
    if address.gateway_url is None:
        return f"no model gateway: {address.gateway_problem or 'it is being started'}"
    problem = f"; it serves no model: {address.gateway_problem}" if address.gateway_problem else ""
    return f"model gateway at {address.gateway_url}{problem}"
