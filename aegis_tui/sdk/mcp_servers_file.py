"""The file with the MCP servers of one instance: the hub writes it beside the token, readable only by the owner."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aegis_tui.domain.mcp_server import McpServer
from aegis_tui.errors import UsageError

SERVERS_NAME = "mcp.json"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ServerStart:
    """How one server is started or reached."""

    name: str
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServersFile:
    """The content of the file."""

    servers: tuple[ServerStart, ...] = ()
    egress: Path | None = None
    """The socket of the way out of the sandbox; None outside one, and where the boundary is closed."""
    token: str = ""
    """The instance's token, which the way out asks for."""

    @property
    def local_places(self) -> tuple[tuple[str, int], ...]:
        """Host and port of each server with an `http://` address, each port once; empty if there is none."""
        plain = (urlsplit(server.url) for server in self.servers if server.url.startswith("http://"))
        return tuple({port: (host, port) for host, port in ((p.hostname or "", p.port or 80) for p in plain)}.values())


def render_servers(servers: Mapping[str, McpServer], *, egress: str | None) -> str:
    """Return the text of the file: JSON, with the secrets of the servers in plain form.

    Args:
        servers: The servers by name.
        egress: The path of the socket of the way out of the sandbox; None if the instance has none.
    """
    plain: dict[str, dict[str, Any]] = {}
    for name, server in servers.items():
        shown = {"command": list(server.command), "url": server.url}
        secrets = {"environment": server.environment, "headers": server.headers}
        plain[name] = {**shown, **{key: {n: v.get_secret_value() for n, v in d.items()} for key, d in secrets.items()}}
    return json.dumps({"servers": plain, "egress": egress}, ensure_ascii=False)


def load_servers(token_file: Path) -> ServersFile:
    """Return the MCP servers of an instance, sorted by name.

    None if the hub wrote no file with servers beside the token.

    Args:
        token_file: The file of the instance's token.

    Raises:
        UsageError: One of the two files cannot be read, or is not valid.
    """
    path = token_file.with_name(SERVERS_NAME)
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MOST_BYTES))
        starts = tuple(
            ServerStart(name, tuple(item["command"]), item["environment"], item["url"], item["headers"])
            for name, item in sorted(content["servers"].items())
        )
        egress = Path(content["egress"]) if content["egress"] else None
        return ServersFile(starts, egress, token_file.read_text("ascii").strip())
    except FileNotFoundError:
        return ServersFile()
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not valid: {error}", "start the instance again") from error
