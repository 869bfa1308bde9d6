"""Who may call, and where calls go: the map that the hub writes, read again whenever it changes."""

from __future__ import annotations

import hashlib
import hmac
import logging
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from aegis_tui.domain.endpoint import normalise_base_url
from aegis_tui.errors import UsageError

_LOG = logging.getLogger(__name__)

PERSON = "person"
"""The name that the person's own calls are counted under."""


class GatewayMap(BaseModel):
    """`gateway-map.json` in the runtime folder, mode 0600. Fields that a newer hub adds are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    upstream: str = ""
    """Base URL of the model server; empty before one is configured."""
    model: str | None = None
    """Model for requests that name none; the server's first when None."""
    instances: dict[str, str] = {}
    """Hex sha256 of an instance's token → its agent id."""
    person: str | None = None
    """Hex sha256 of the person's token."""
    upstream_token_file: Path | None = None
    """Holds the key that the model server wants, if it wants one."""

    @field_validator("upstream")
    @classmethod
    def _normalise(cls, value: str) -> str:
        try:
            return normalise_base_url(value) if value else ""
        except UsageError as error:
            raise ValueError(str(error)) from error


class AccessMap:
    """The newest readable map. A file that is gone or broken leaves the last one in force."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._map = GatewayMap()

    @property
    def current(self) -> GatewayMap:
        """The map in force now; costs one stat when nothing changed."""
        try:
            status = self._path.stat()
        except OSError:
            return self._map
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            self._seen = seen
            self._load()
        return self._map

    def _load(self) -> None:
        try:
            self._map = GatewayMap.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError) as error:
            _LOG.warning("the gateway map is not readable, the last one stays", extra={"reason": type(error).__name__})

    def find_caller(self, token: str) -> str | None:
        """The agent id that a token stands for, `PERSON` for the person's, None for nobody's."""
        if not token:
            return None
        current = self.current
        digest = hashlib.sha256(token.encode()).hexdigest()
        if current.person is not None and hmac.compare_digest(current.person.encode(), digest.encode()):
            return PERSON
        return current.instances.get(digest)
