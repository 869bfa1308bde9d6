"""Where a model server may be."""

from __future__ import annotations

import pytest

from aegis_tui.domain.endpoint import (
    check_endpoint,
    check_name,
    host_and_port,
    is_allowed_address,
    may_look_up,
    normalise_base_url,
    root_url,
)
from aegis_tui.errors import Refused, UsageError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://localhost:8001", "http://localhost:8001/v1"),
        ("http://localhost:8001/", "http://localhost:8001/v1"),
        ("http://localhost:8001/v1", "http://localhost:8001/v1"),
        ("http://localhost:8001/v1/", "http://localhost:8001/v1"),
        ("HTTPS://GPU-Box.LAN/v1", "https://gpu-box.lan/v1"),
        ("http://10.0.0.7:80/models/a/v1", "http://10.0.0.7:80/models/a/v1"),
        ("http://[FD00::1]:8001/v1", "http://[fd00::1]:8001/v1"),
    ],
)
def test_a_base_url_has_one_form(given: str, expected: str) -> None:
    assert normalise_base_url(given) == expected
    assert normalise_base_url(expected) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8001",
        "ftp://localhost",
        "unix:/run/x.sock",
        "http://",
        "http:///v1",
        "http://user:word@localhost/v1",
        "http://localhost@8.8.8.8/v1",
        "http://localhost/v1?key=1",
        "http://localhost/v1?",
        "http://localhost/v1#x",
        "http://localhost:99999/v1",
        "http://localhost:port/v1",
        "http://local host/v1",
        "http://localhost/v1\r\nHost: x",
        "http://localhost\\@8.8.8.8/v1",
        "http://[::1/v1",
    ],
)
def test_a_url_that_could_be_read_two_ways_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        normalise_base_url(url)


ALLOWED = """
    127.0.0.1 127.8.9.1 10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 ::1 fc00::1 fdff::1
    fe80::1 fe80::1%eth0 ::ffff:127.0.0.1 ::ffff:10.0.0.1
"""
REFUSED = """
    8.8.8.8 0.0.0.0 169.254.169.254 172.15.255.255 172.32.0.0 192.169.0.1 11.0.0.1 100.64.0.1 224.0.0.1
    255.255.255.255 :: 2001:4860:4860::8888 ::ffff:8.8.8.8 ::ffff:169.254.169.254 64:ff9b::7f00:1 2002:7f00:1::
    fec0::1 ff02::1 localhost
"""


@pytest.mark.parametrize("address", ALLOWED.split())
def test_loopback_and_private_addresses_are_allowed(address: str) -> None:
    assert is_allowed_address(address)
    check_endpoint("http://x/v1", [address])


@pytest.mark.parametrize("address", REFUSED.split())
def test_every_other_address_is_refused(address: str) -> None:
    assert not is_allowed_address(address)
    with pytest.raises(Refused) as caught:
        check_endpoint("http://x/v1", ["127.0.0.1", address])
    assert (caught.value.code, caught.value.exit_code) == ("boundary.endpoint", 3)


def test_an_endpoint_without_an_address_is_refused() -> None:
    with pytest.raises(Refused):
        check_endpoint("http://x/v1", [])


def test_only_names_of_the_private_network_are_looked_up() -> None:
    for name in ("gpu-box", "gpu-box.", "gpu.local", "a.b.internal", "GPU.LAN", "nas.home.arpa", "x.localhost"):
        assert may_look_up(name), name
    for name in ("api.example.com", "lan.example.com", "local.", "notlan.evillan", "0x8.8.8.8", ""):
        assert may_look_up(name) == (name == "local."), name
    with pytest.raises(Refused) as caught:
        check_name("api.example.com")
    assert caught.value.code == "boundary.endpoint"


def test_parts_of_a_base_url_are_what_a_connection_needs() -> None:
    assert host_and_port("http://[fd00::1]:8001/v1") == ("fd00::1", 8001)
    assert host_and_port("https://gpu-box/v1") == ("gpu-box", 443)
    assert host_and_port("http://gpu-box/v1") == ("gpu-box", 80)
    assert root_url("http://localhost:8001/v1") == "http://localhost:8001"
