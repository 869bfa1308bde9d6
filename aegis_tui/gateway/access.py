"""Who may call and which server the calls go to: read from the map that the hub writes, again on each change."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aegis_tui.domain.boundary import parse_address
from aegis_tui.domain.endpoint import normalise_base_url
from aegis_tui.errors import UsageError
from aegis_tui.ports.gateway_plan import BUDGET_NAMES

_LOG = logging.getLogger(__name__)

PERSON = "person"
"""The name under which the person's own calls are counted."""


class GatewayMap(NamedTuple):
    """The content of `gateway-map.json` in the runtime folder, mode 0600. Unknown fields of a newer hub are ignored.

    Validated by hand, because importing pydantic would take a third of the gateway's start.
    """

    upstream: str = ""
    """Base URL of the model server; empty if none is configured."""
    model: str | None = None
    """Model for requests that name none; None for the first one that the server lists."""
    instances: Mapping[str, str] = {}
    """Hex SHA-256 of an instance's token → its agent id."""
    person: str | None = None
    """Hex SHA-256 of the person's token."""
    allowed: Mapping[str, Sequence[str]] = {}
    """Agent id → the addresses outside, as `host:port`, that the instance may reach (SEC-4)."""
    upstream_token_file: Path | None = None
    """File with the model server's key; None if it needs none."""
    more: Sequence[str] = ()
    """Base URLs of further servers for the same models."""
    urgencies: Mapping[str, int] = {}
    """Agent id → how many others its work keeps waiting."""
    runs: Mapping[str, str] = {}
    """Agent id → the run that it belongs to."""
    budget: Mapping[str, float] = {}
    """The limits of that run and of each of its instances, by the names in `BUDGET_NAMES`."""
    kept_mb: int | None = None
    """How much the texts of calls may take on disk, in MiB; 0 deletes them. None, which is not known: none is stored or
    deleted."""

    @property
    def upstreams(self) -> list[str]:
        """The base URLs of all model servers, each once, `upstream` first; empty if none is configured."""
        return list(dict.fromkeys((self.upstream, *self.more))) if self.upstream else []


def parse_map(text: bytes) -> GatewayMap:
    """Return the map in a file's content; a field that is absent has the default of `GatewayMap`.

    Raises:
        ValueError: It is not a JSON object, or a field has a wrong value.
        RecursionError: The JSON is nested too deeply.
        UsageError: The upstream, or one of `more`, is not a base URL.
    """
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("not an object")
    upstream, instances = fields.get("upstream", ""), fields.get("instances", {})
    allowed = _addresses(fields.get("allowed", {}))
    if not isinstance(upstream, str) or not isinstance(instances, dict):
        raise ValueError("upstream or instances has a wrong type")
    names = [fields.get(name) for name in ("model", "person", "upstream_token_file")]
    if not all(
        isinstance(value, str) for value in (*instances.values(), *(name for name in names if name is not None))
    ):
        raise ValueError("a name is not text")
    model, person, key_file = names
    kept_mb = fields.get("kept_mb")
    if not isinstance(kept_mb, int | None):
        raise ValueError("kept_mb is not a number")
    return GatewayMap(
        upstream=normalise_base_url(upstream) if upstream else "",
        model=model,
        instances=instances,
        person=person,
        allowed=allowed,
        upstream_token_file=None if key_file is None else Path(key_file),
        more=[normalise_base_url(url) for url in _texts(fields.get("more", []))],
        urgencies=_numbers(fields.get("urgencies", {})),
        runs=_names(fields.get("runs", {})),
        budget={name: limit for name, limit in _numbers(fields.get("budget", {})).items() if name in BUDGET_NAMES},
        kept_mb=kept_mb,
    )


def _texts(values: object) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("not a list of texts")
    return values


def _names(values: object) -> dict[str, str]:
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ValueError("not texts by name")
    return values


def _numbers(values: object) -> dict[str, Any]:
    if not isinstance(values, dict) or not all(isinstance(value, int | float) for value in values.values()):
        raise ValueError("not numbers by name")
    return values


def _addresses(allowed: object) -> dict[str, list[str]]:
    """Return the value of the map's field `allowed` (agent id -> addresses) unchanged, once it is checked.

    Raises:
        ValueError: It has a wrong type, or one of its texts is not an address of the form `host:port`.
    """
    if not isinstance(allowed, dict):
        raise ValueError("allowed is not an object")
    for addresses in allowed.values():
        if not isinstance(addresses, list) or not all(isinstance(address, str) for address in addresses):
            raise ValueError("allowed has a wrong type")
        for address in addresses:
            parse_address(address)
    return allowed


class AccessMap:
    """The newest valid map. If the file is missing or invalid, the last one stays in force."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._map = GatewayMap()
        self._is_reported = False

    @property
    def current(self) -> GatewayMap:
        """The map in force: the newest valid one, also while the file is missing or invalid; empty before the first.

        Reads the file again if it has changed since the last access, else costs one stat call. Raises nothing: a file
        that cannot be read or is invalid is logged.
        """
        try:
            status = self._path.stat()
        except OSError:
            return self._map
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._seen and self._load():
            self._seen = seen
        return self._map

    def _load(self) -> bool:
        """Read the file and take over its map; return False if it cannot be read at the moment and must be read again.

        Invalid content leaves the last map in force and is logged; the result is then True, as reading it again would
        not help.
        """
        try:
            text = self._path.read_bytes()
        except OSError as error:  # for example, no descriptor is free at the moment
            if not self._is_reported:
                _LOG.warning("gateway-map.json cannot be read, the last valid one stays in use: %s", error.strerror)
            self._is_reported = True
            return False
        self._is_reported = False
        try:
            self._map = parse_map(text)
        except (ValueError, RecursionError, UsageError) as error:
            _LOG.warning(
                "gateway-map.json is not valid, the last valid one stays in use", extra={"reason": type(error).__name__}
            )
        return True

    def find_caller(self, token: str) -> str | None:
        """Return the agent id that a token belongs to, `PERSON` for the person's, None for an unknown or empty one."""
        if not token:
            return None
        current = self.current
        digest = hashlib.sha256(token.encode()).hexdigest()
        if current.person is not None and hmac.compare_digest(current.person.encode(), digest.encode()):
            return PERSON
        return current.instances.get(digest)
