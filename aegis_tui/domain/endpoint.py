"""Which addresses a model server may have (LLM-7): loopback and private networks, checked before any byte is sent.

Nothing here resolves a name; the caller does, passes the addresses in, and then connects to those and no others.
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
    """Return the base URL in the form in which it is stored and compared: lower-case host, ending in `/v1`.

    A port stays as it is given, also 80 or 443. Slashes at the end are left out.

    Args:
        url: With or without `/v1`; a path before it is kept.

    Raises:
        UsageError: It is not an http or https URL with a host and a valid port; it has a user, a query or a fragment;
            or it has a space, a backslash or a control character in it.
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
        raise UsageError("a base URL must not have a user, a query or a fragment", hint=hint)
    shown = f"[{host}]" if ":" in host else host
    place = shown if port is None else f"{shown}:{port}"
    path = parts.path.rstrip("/").removesuffix("/v1")
    return f"{parts.scheme}://{place}{path}/v1"


def root_url(base_url: str) -> str:
    """Return a normalised base URL without its `/v1`; `/metrics` and `/health` are below that."""
    return base_url.removesuffix("/v1")


def host_and_port(base_url: str) -> tuple[str, int]:
    """Return host (without brackets) and port of a normalised base URL; the port is 80 or 443 when it names none."""
    parts: SplitResult = urlsplit(base_url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def is_address(host: str) -> bool:
    """Return whether the host is an IP address of version 4 or 6, without brackets; no name has to be resolved then."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def may_look_up(host: str) -> bool:
    """Return whether a query of name servers for this name stays in the private network; for names only, not addresses.

    True for names without a dot and for those that end in `.localhost`, `.local`, `.internal`, `.lan`, `.home.arpa` or
    `.test`; False for an empty one. A public name would be sent to public name servers. Sources: RFC 6761, RFC 6762,
    RFC 8375, ICANN's reservation of `.internal`.
    """
    name = host.lower().rstrip(".")
    return bool(name) and ("." not in name or name.endswith(tuple(f".{suffix}" for suffix in _PRIVATE_SUFFIXES)))


def is_allowed_address(address: str) -> bool:
    """Return whether a text is a loopback or private IP address, or a link-local one of IPv6 (`fe80::/10`).

    IPv4 mapped into IPv6 counts as IPv4. False for what is no IP address.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in _ALLOWED if network.version == parsed.version)


def check_endpoint(url: str, addresses: Sequence[str]) -> None:
    """Return if every address of the endpoint is one that `is_allowed_address` accepts.

    Args:
        url: The endpoint, for the message.
        addresses: All addresses that its host resolves to.

    Raises:
        Refused: An address is another one, or there is no address (code `boundary.endpoint`).
    """
    if not addresses:
        raise Refused(f"{url} has no address", hint=_HINT, code="boundary.endpoint")
    for address in addresses:
        if not is_allowed_address(address):
            raise Refused(
                f"{url} is outside the allowed network ({address})",
                hint=_HINT,
                code="boundary.endpoint",
                address=address,
            )


def check_name(host: str) -> None:
    """Return if this host name, which is not an address, may be resolved: `may_look_up` says so.

    Raises:
        Refused: It is a public name, for which the query alone would leave the boundary (code `boundary.endpoint`).
    """
    if not may_look_up(host):
        raise Refused(
            f"{host} is a public name, which is not looked up",
            hint="use the server's private address, or give it a name in /etc/hosts",
            code="boundary.endpoint",
        )
