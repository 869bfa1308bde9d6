"""MCP servers of the person's settings, which agents get besides the hub's own tools (AGENT-7)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from aegis_tui.domain.boundary import parse_address

OWN = "aegis"
"""The name of the hub's own server in the configuration of programs."""

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*\Z")


class McpServer(BaseModel):
    """One server: a command that speaks MCP on stdin and stdout, or the URL of one that speaks it over HTTP.

    It is part of the settings, which every command reads: only pydantic is imported for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    command: tuple[str, ...] = ()
    """The program and its arguments; it runs in the sandbox of each agent."""
    environment: dict[str, SecretStr] = Field(default_factory=dict)
    """Variables for the command."""
    url: str = ""
    """`https://` of any host, or `http://` of this machine."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Headers of each request to the URL."""
    addresses: tuple[str, ...] = ()
    """What the command has to reach, as `host:port`."""

    @field_validator("addresses", mode="after")
    @classmethod
    def _are_addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            parse_address(address)
        return addresses

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise ValueError("name either a command or a url")
        if self.url and (self.environment or self.addresses):
            raise ValueError("environment and addresses apply only to a command")
        if self.command and self.headers:
            raise ValueError("headers apply only to a url")
        if self.url:
            self._check_url()
        return self

    def _check_url(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{self.url} is not an http or https URL")
        if parts.username or parts.password:
            raise ValueError("the URL contains a user name or a password: put it into headers")
        parse_address(self.place)
        if parts.scheme == "http" and not self.is_local:
            raise ValueError(f"{self.url} would be reached without encryption: use https")

    @property
    def place(self) -> str:
        """The host and the port of the URL as `HOST:PORT`, with the usual port if it names none.

        Empty without a URL.
        """
        if not self.url:
            return ""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"

    @property
    def is_local(self) -> bool:
        """Whether the URL leads to this machine: its host is `localhost` or a loopback address. False without a URL."""
        host = urlsplit(self.url).hostname or ""
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def lacking(self, allowed: Collection[str]) -> tuple[str, ...]:
        """Return the addresses that the server needs and that are outside the boundary; empty if there are none.

        It needs those that it lists, and its own address unless that is on this machine.

        Args:
            allowed: The addresses that agents of a kind may reach.
        """
        inside = {parse_address(address) for address in allowed}
        wanted = (*self.addresses, *([self.place] if self.url and not self.is_local else []))
        return tuple(address for address in wanted if parse_address(address) not in inside)


def check_server_name(name: str) -> None:
    """Return if a server may have that name, which becomes part of the names of its tools.

    It has at most 32 lower-case letters, digits, and single `-` or `_` inside; it begins with a letter and is not
    `OWN`.

    Raises:
        ValueError: It may not.
    """
    if not _NAME.match(name) or len(name) > 32 or name == OWN:
        raise ValueError(f"{name!r} cannot be the name of a server: use a-z, 0-9, - and _, and not {OWN!r}")


def local_addresses(servers: Mapping[str, McpServer]) -> tuple[str, ...]:
    """Return the addresses of the servers that run on this machine and are reached over HTTP, sorted; perhaps none."""
    return tuple(sorted({server.place for server in servers.values() if server.is_local}))


def usable(servers: Mapping[str, McpServer], allowed: Collection[str]) -> dict[str, McpServer]:
    """Return the servers, by name, that need no address outside the boundary: all that they need is among `allowed`.

    Args:
        servers: The servers by name.
        allowed: The addresses that agents of the kind may reach, as `host:port`.

    Raises:
        ValueError: One of the allowed addresses is none.
    """
    return {name: server for name, server in servers.items() if not server.lacking(allowed)}


def refusals(servers: Mapping[str, McpServer], kind: str, allowed: Collection[str]) -> list[str]:
    """Return why agents of a kind do not get a server, and what to do about it: one sentence for each such server.

    Empty if they get all.

    Args:
        servers: The servers by name.
        kind: The kind of agent.
        allowed: The addresses that its agents may reach.
    """
    return [
        f"agents of the kind {kind} do not get the MCP server {name}: {', '.join(missing)} is outside the boundary; "
        f"list it in [boundary] under {kind}"
        for name, server in sorted(servers.items())
        if (missing := server.lacking(allowed))
    ]
