"""A hub client that speaks as a person, or as an instance that a person joined (contract 2)."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from aegis_tui.cli.place import Place
from aegis_tui.domain.ids import check_instance_id, instance_id
from aegis_tui.errors import HubUnavailable, UsageError
from aegis_tui.sdk.quick import HubAddress, HubQuick


def speaking_as(place: Place, instance: str | None, *, timeout_s: float = 60.0) -> HubQuick:
    """A client that speaks as `instance`, else as the instance of this pane, else as the person.

    Raises:
        HubUnavailable: No hub runs.
        UsageError: There is no token for that instance here.
    """
    address = place.find()
    if address is None:
        raise HubUnavailable("no hub runs for this repository", "start it: aegis-tui hub start")
    token_file = token_file_of(place, instance)
    if token_file is not None:
        address = dataclasses.replace(address, token=read_token(token_file))
    return HubQuick(address, timeout_s=timeout_s)


def token_file_of(place: Place, instance: str | None) -> Path | None:
    """Where the token of `instance` is, else that of this pane's instance; None for a person."""
    if instance is not None:
        return place.paths.instance_dir(check_instance_id(instance_id(instance))) / "token"
    named = os.environ.get("AEGIS_TOKEN_FILE")
    return Path(named) if named else None


def read_token(path: Path) -> str:
    """The token in a file.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"no token in {path}", "join first: aegis-tui connect --agent KIND --instance ID") from error


def address_of(place: Place) -> HubAddress:
    """Where the hub is.

    Raises:
        HubUnavailable: None runs.
    """
    address = place.find()
    if address is None:
        raise HubUnavailable("no hub runs for this repository", "start it: aegis-tui hub start")
    return address
