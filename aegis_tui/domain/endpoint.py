"""Where a model server may be (LLM-7): loopback and private networks, decided before any byte is sent.

Nothing here looks a name up; whoever does hands the addresses in, and connects to those and no others.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from aegis_tui.errors import Refused, UsageError

_ALLOWED = tuple(
    ipaddress.ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10")
)
_PRIVATE_SUFFIXES = ("localhost", "local", "internal", "lan", "home.arpa", "test")
_HINT = (
    "name a model server on this machine or in a private network (10/8, 172.16/12, 192.168/16, fc00::/7) "
    "with --base-url or AEGIS_BASE_URL"
)


def normalise_base_url(url: str) -> str:
    """The base URL in the one form that is stored and compared: lower-case host, ending in `/v1`.

    Args:
        url: With or without `/v1`; a path before it is kept.

    Raises:
        UsageError: Not http or https, no host, a bad port, or user, query or fragment in it.
    """
    hint = "a base URL looks like http://localhost:8001/v1; name it with --base-url or AEGIS_BASE_URL"
    if any(ord(sign) <= 32 or ord(sign) == 127 or sign == "\\" for sign in url):
        raise UsageError("the base URL has spaces, backslashes or control characters in it", hint=hint)
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise UsageError(f"{url!r} is not a URL: {error}", hint=hint) from error
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"{url!r} is not an http or https URL", hint=hint)
    if parts.username is not None or parts.password is not None or "?" in url or "#" in url:
        raise UsageError("a base URL carries no user, query or fragment", hint=hint)
    shown = f"[{host}]" if ":" in host else host
    place = shown if port is None else f"{shown}:{port}"
    path = parts.path.rstrip("/").removesuffix("/v1")
    return f"{parts.scheme}://{place}{path}/v1"


def root_url(base_url: str) -> str:
    """A normalised base URL without its `/v1`: where `/metrics` and `/health` are."""
    return base_url.removesuffix("/v1")


def host_and_port(base_url: str) -> tuple[str, int]:
    """Host (no brackets) and port of a normalised base URL; 80 or 443 when it names none."""
    parts: SplitResult = urlsplit(base_url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def is_address(host: str) -> bool:
    """Whether the host is an IP address in its usual spelling, so that no name is looked up for it."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def may_look_up(host: str) -> bool:
    """Whether asking a name server for this name stays in the private network.

    Single-label names and the private-use domains do; a public name would be told to the world's name servers.
    Sources: RFC 6761, RFC 6762, RFC 8375, ICANN's reservation of `.internal`.
    """
    name = host.lower().rstrip(".")
    return bool(name) and ("." not in name or name.endswith(tuple(f".{suffix}" for suffix in _PRIVATE_SUFFIXES)))


def is_allowed_address(address: str) -> bool:
    """Whether this one address is loopback or private. IPv4 inside IPv6 counts as the IPv4 it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in _ALLOWED if network.version == parsed.version)


def check_endpoint(url: str, addresses: Sequence[str]) -> None:
    """Return when every address of the endpoint is loopback or private.

    Args:
        url: The endpoint, for the message.
        addresses: All addresses that its host stands for.

    Raises:
        Refused: `boundary.endpoint`: one of them is neither, or there is none.
    """
    if not addresses:
        raise Refused(f"{url} stands for no address", hint=_HINT, code="boundary.endpoint")
    for address in addresses:
        if not is_allowed_address(address):
            raise Refused(
                f"{url} is outside the allowed network ({address})",
                hint=_HINT,
                code="boundary.endpoint",
                address=address,
            )


def check_name(host: str) -> None:
    """Return when this name may be looked up at all.

    Raises:
        Refused: `boundary.endpoint`: a public name; asking for it would already leave the boundary.
    """
    if not may_look_up(host):
        raise Refused(
            f"{host} is a public name, which is not looked up",
            hint="use the server's private address, or give it a name in /etc/hosts",
            code="boundary.endpoint",
        )
