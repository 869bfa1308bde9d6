"""Addresses that agents may reach besides the model, and the words for the boundary (SEC-4)."""

from __future__ import annotations

import pytest

from aegis_tui.domain.boundary import allowed_words, boundary_word, may_stand_for, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("api.example.org:443", ("api.example.org", 443)),
        ("API.Example.org.:443", ("api.example.org", 443)),
        ("localhost:8080", ("localhost", 8080)),
        ("10.0.0.7:1", ("10.0.0.7", 1)),
        ("[2001:DB8:0::1]:443", ("2001:db8::1", 443)),
        ("_dmarc.example-1.org:65535", ("_dmarc.example-1.org", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


WRONG = (
    "",
    "api.example.org",
    "api.example.org:0",
    "api.example.org:65536",
    "api.example.org:https",
    "https://api.example.org:443",
    "api.example.org:443/v1",
    "*.example.org:443",
    "-a.example.org:443",
    "a..b:443",
    ":443",
    "2001:db8::1:443",
    "[api.example.org]:443",
    "user@api.example.org:443",
    "api.example.org:443\n",
    "api example.org:443",
    "\u0430pi.example.org:443",
    f"{'a' * 64}.org:443",
    f"{'a.' * 130}org:443",
)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is n"):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "address", "may"),
    [
        ("api.example.org", "93.184.215.14", True),
        ("git.corp.example", "10.0.0.7", True),
        ("api.example.org", "127.0.0.1", False),
        ("api.example.org", "::1", False),
        ("api.example.org", "::ffff:127.0.0.1", False),
        ("api.example.org", "169.254.169.254", False),
        ("api.example.org", "fe80::1%eth0", False),
        ("api.example.org", "0.0.0.0", False),
        ("api.example.org", "224.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("localhost", "127.0.0.1", True),
        ("localhost", "10.0.0.7", False),
    ],
)
def test_a_listed_name_does_not_lead_to_services_of_this_machine(host: str, address: str, may: bool) -> None:
    assert may_stand_for(host, address) is may


def test_the_boundary_in_words() -> None:
    allowed = {"codex": ("b.example:443", "a.example:443"), "native": ("a.example:443",), "aider": ()}
    assert boundary_word("bubblewrap", {}) == boundary_word("", {"codex": ()}) == "closed"
    assert boundary_word("bubblewrap", {"codex": ("b.example:443",)}) == "1 address allowed"
    assert boundary_word("bubblewrap", allowed) == "2 addresses allowed"
    assert boundary_word("none", allowed) == "no sandbox"
    assert allowed_words(allowed) == [
        "codex may reach b.example:443, a.example:443",
        "native may reach a.example:443",
    ]
