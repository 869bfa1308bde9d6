"""Who may call, and where calls go: the map that the hub writes, read again whenever it changes."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from aegis_tui.domain.endpoint import normalise_base_url
from aegis_tui.errors import UsageError

_LOG = logging.getLogger(__name__)

PERSON = "person"
"""The name that the person's own calls are counted under."""


class GatewayMap(NamedTuple):
    """`gateway-map.json` in the runtime folder, mode 0600. Fields that a newer hub adds are passed over.

    Checked by hand: importing pydantic would take a third of the gateway's start.
    """

    upstream: str = ""
    """Base URL of the model server; empty before one is configured."""
    model: str | None = None
    """Model for requests that name none; the server's first when None."""
    instances: Mapping[str, str] = {}
    """Hex sha256 of an instance's token → its agent id."""
    person: str | None = None
    """Hex sha256 of the person's token."""
    upstream_token_file: Path | None = None
    """Holds the key that the model server wants, if it wants one."""


def parse_map(text: bytes) -> GatewayMap:
    """The map in a file's text.

    Raises:
        ValueError: It is not JSON, or a field has a value that does not fit.
        UsageError: The upstream is no base URL.
    """
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("not an object")
    upstream, instances = fields.get("upstream", ""), fields.get("instances", {})
    if not isinstance(upstream, str) or not isinstance(instances, dict):
        raise ValueError("upstream or instances do not fit")
    names = [fields.get(name) for name in ("model", "person", "upstream_token_file")]
    if not all(
        isinstance(value, str) for value in (*instances.values(), *(name for name in names if name is not None))
    ):
        raise ValueError("a name is not text")
    model, person, key_file = names
    return GatewayMap(
        upstream=normalise_base_url(upstream) if upstream else "",
        model=model,
        instances=instances,
        person=person,
        upstream_token_file=None if key_file is None else Path(key_file),
    )


class AccessMap:
    """The newest readable map. A file that is gone or broken leaves the last one in force."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._map = GatewayMap()
        self._is_told = False

    @property
    def current(self) -> GatewayMap:
        """The map in force now; costs one stat when nothing changed."""
        try:
            status = self._path.stat()
        except OSError:
            return self._map
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._seen and self._load():
            self._seen = seen
        return self._map

    def _load(self) -> bool:
        """Take the map of the file; False where the file could not be read now, and is to be read again."""
        try:
            text = self._path.read_bytes()
        except OSError as error:  # no descriptor may be free for the moment
            if not self._is_told:
                _LOG.warning("the gateway map cannot be read, the last one stays: %s", error.strerror)
            self._is_told = True
            return False
        self._is_told = False
        try:
            self._map = parse_map(text)
        except (ValueError, RecursionError, UsageError) as error:
            _LOG.warning("the gateway map is not readable, the last one stays", extra={"reason": type(error).__name__})
        return True

    def find_caller(self, token: str) -> str | None:
        """The agent id that a token stands for, `PERSON` for the person's, None for nobody's."""
        if not token:
            return None
        current = self.current
        digest = hashlib.sha256(token.encode()).hexdigest()
        if current.person is not None and hmac.compare_digest(current.person.encode(), digest.encode()):
            return PERSON
        return current.instances.get(digest)
