"""The boundary of a workspace: what agents may reach besides the hub and the configured model (SEC-1, SEC-4).

It is closed unless the person lists addresses for a kind of agent. An address is `host:port`, with the host as a name
or an IP address, that of version 6 in brackets; it is never a pattern.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence

CLOSED = "closed"
NO_SANDBOX = "no sandbox"
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:]+)):(?P<port>[0-9]{1,5})\Z")


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of an address; a name in lower case and without its final dot, an IP address in short form.

    Args:
        text: `HOST:PORT`, the host a name, an IPv4 address, or an IPv6 address in brackets: `[2001:db8::1]:443`. Port 1
            to 65535.

    Raises:
        ValueError: It is not of this form, or the host is neither a name nor an IP address; the message quotes it and
            says which.
    """
    match = _ADDRESS.match(text)
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise ValueError(f"{text!r} is not a host and a port, such as api.example.org:443")
    host = str(match["v6"] or match["host"]).lower().removesuffix(".")
    try:
        return ipaddress.ip_address(host).compressed, int(match["port"])
    except ValueError:
        if match["v6"] or not _NAME.match(host) or len(host) > 253:
            raise ValueError(f"{text!r}: {host!r} is neither a host name nor an IP address") from None
    return host, int(match["port"])


def may_stand_for(host: str, address: str) -> bool:
    """Return whether a connection to a listed host may go to the IP address that its name was resolved to.

    `localhost` may lead to loopback addresses only. Any other name must not lead to a loopback, link-local, unspecified
    or multicast address, as services there trust every local program; all other addresses are allowed. If the host
    itself is an IP address, that one is always allowed. An IPv4 address mapped into IPv6 counts as the IPv4 address.

    Args:
        host: As `parse_address` returns it.
        address: An IP address; an IPv6 zone (`%eth0`) is ignored.

    Raises:
        ValueError: `address` is not an IP address.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if host == parsed.compressed:
        return True
    if host == "localhost":
        return parsed.is_loopback
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified or parsed.is_multicast)


def boundary_word(level: str, allowed: Mapping[str, Sequence[str]]) -> str:
    """Return what agents may reach, in a few words: `closed`, `2 addresses allowed`, `no sandbox`.

    Counts different addresses over all kinds; `closed` means that none is listed.

    Args:
        level: The level of isolation. Only `none` (no sandbox) makes a difference.
        allowed: Kind of agent -> the addresses that it may reach.
    """
    if level == "none":
        return NO_SANDBOX
    count = len({address for addresses in allowed.values() for address in addresses})
    return f"{count} address{'' if count == 1 else 'es'} allowed" if count else CLOSED


def allowed_words(allowed: Mapping[str, Sequence[str]]) -> list[str]:
    """Return for each kind of agent with addresses, sorted, what it may reach: `codex may reach api.example.org:443`.

    Kinds without addresses are left out.

    Args:
        allowed: Kind of agent -> the addresses that it may reach, kept in this order.
    """
    return [f"{kind} may reach {', '.join(addresses)}" for kind, addresses in sorted(allowed.items()) if addresses]
