"""Hub clients that act for the person, or for an instance that the person connected (contract 2)."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from aegis_tui.cli.place import Place
from aegis_tui.domain.ids import check_instance_id, instance_id
from aegis_tui.errors import HubUnavailable, UsageError
from aegis_tui.sdk.quick import HubAddress, HubQuick


def speaking_as(place: Place, instance: str | None, *, timeout_s: float = 60.0) -> HubQuick:
    """Return a client that acts as `instance`, else as the instance of this pane, else as the person.

    Args:
        place: The workspace whose hub it speaks to.
        instance: The id of an instance that the person connected, short or in full; or None.
        timeout_s: Seconds that a request may take.

    Raises:
        HubUnavailable: No hub is running, or it does not answer.
        UsageError: The id is not valid, or the token of that instance cannot be read. Whether the hub still accepts the
            token is not checked.
    """
    address = place.find()
    if address is None:
        raise HubUnavailable("no hub is running for this repository", "start it: aegis-tui hub start")
    token_file = token_file_of(place, instance)
    if token_file is not None:
        address = dataclasses.replace(address, token=read_token(token_file))
    return HubQuick(address, timeout_s=timeout_s)


def token_file_of(place: Place, instance: str | None) -> Path | None:
    """Return the path of the token file of an instance; the file may be missing.

    Args:
        place: The workspace.
        instance: The id of the instance, short or in full. With None, the result is the path in AEGIS_TOKEN_FILE, which
            the program in the pane of an instance has in its environment, or None if that is not set.

    Raises:
        UsageError: The id is not valid.
    """
    if instance is not None:
        return place.paths.instance_dir(check_instance_id(instance_id(instance))) / "token"
    named = os.environ.get("AEGIS_TOKEN_FILE")
    return Path(named) if named else None


def read_token(path: Path) -> str:
    """Return the token that a file holds, without white space around it; empty if the file is.

    Raises:
        UsageError: The file cannot be read, or is not ASCII.
    """
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"there is no token in {path}", "join first: aegis-tui connect --agent KIND --instance ID"
        ) from error


def address_of(place: Place) -> HubAddress:
    """Return the address of the running hub of a workspace; starts none.

    Raises:
        HubUnavailable: No hub is running, or it does not answer.
    """
    address = place.find()
    if address is None:
        raise HubUnavailable("no hub is running for this repository", "start it: aegis-tui hub start")
    return address
