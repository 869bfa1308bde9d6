"""Resolves the host of a model endpoint to addresses, without asking a public name server for it.

Order: an address is used as it is; `localhost` is loopback (RFC 6761); then the hosts file; then the system's resolver,
for private names only. Callers connect to the addresses returned here and do not resolve the name again, so that a
second, different answer of a name server cannot redirect the connection.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from aegis_tui.domain.endpoint import check_endpoint, check_name, host_and_port, is_address
from aegis_tui.errors import ModelUnavailable

_HOSTS_FILE = Path("/etc/hosts")
_HOSTS_LIMIT_BYTES = 4 * 1024 * 1024


async def resolve(host: str, *, timeout_s: float = 5.0, hosts_file: Path = _HOSTS_FILE) -> list[str]:
    """Return all addresses of a host, in the order to try them.

    Args:
        host: A name, or an address, which is returned as it is; without brackets. `localhost` is always loopback.
        timeout_s: How long the system's resolver may take, in seconds.
        hosts_file: Searched first; the resolver is asked only for private names that are not in it.

    Raises:
        Refused: It is a public name that is not in the hosts file (code `boundary.endpoint`).
        ModelUnavailable: The name is unknown, or the resolver took too long.
    """
    name = host.lower().rstrip(".")
    if is_address(host):
        return [host]
    if name == "localhost" or name.endswith(".localhost"):
        return ["127.0.0.1", "::1"]
    if listed := await asyncio.to_thread(_listed_addresses, name, hosts_file):
        return listed
    check_name(name)
    try:
        async with asyncio.timeout(timeout_s):
            entries = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
        raise ModelUnavailable(f"{host} has no address", hint="check the host name of the base URL") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


async def resolve_endpoint(base_url: str, *, timeout_s: float = 5.0, hosts_file: Path = _HOSTS_FILE) -> list[str]:
    """Return the addresses of an endpoint, in the order to try them; each is a loopback or private address.

    Args:
        base_url: In normalised form (see `normalise_base_url`).
        timeout_s: How long the system's resolver may take, in seconds.
        hosts_file: Searched first; the resolver is asked only for private names that are not in it.

    Raises:
        Refused: An address is outside the allowed network, or the name is public and not in the hosts file (code
            `boundary.endpoint`).
        ModelUnavailable: The name is unknown, or the resolver took too long.
    """
    host, _ = host_and_port(base_url)
    addresses = await resolve(host, timeout_s=timeout_s, hosts_file=hosts_file)
    check_endpoint(base_url, addresses)
    return addresses


def _listed_addresses(name: str, hosts_file: Path) -> list[str]:
    """Return the addresses that the hosts file has for this name (hosts(5)); empty if none, or if it cannot be read."""
    try:
        with hosts_file.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(_HOSTS_LIMIT_BYTES).splitlines()
    except OSError:
        return []
    addresses: list[str] = []
    for line in lines:
        words = line.partition("#")[0].split()
        if len(words) > 1 and name in (word.lower() for word in words[1:]) and is_address(words[0]):
            addresses.append(words[0])
    return addresses
