"""MCP servers of the person's settings: what may be written there, and which agents get them (AGENT-7)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from aegis_tui.domain.mcp_server import McpServer, check_server_name, local_addresses, refusals, usable


def server(**fields: Any) -> McpServer:
    return McpServer.model_validate(fields)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "either a command or a url"),
        ({"command": ["x"], "url": "https://a.example/mcp"}, "either a command or a url"),
        ({"url": "ftp://a.example/"}, "not an http or https URL"),
        ({"url": "https://"}, "not an http or https URL"),
        ({"url": "https://me:secret@a.example/"}, "the URL contains a user name or a password: put it into headers"),
        ({"url": "http://a.example/mcp"}, "use https"),
        ({"url": "http://10.0.0.7/mcp"}, "use https"),
        ({"url": "https://*.example/"}, "neither a host name nor an IP address"),
        ({"url": "https://a.example/", "environment": {"A": "b"}}, "only to a command"),
        ({"command": ["x"], "headers": {"A": "b"}}, "only to a url"),
        ({"command": ["x"], "addresses": ["a.example"]}, "not a host and a port"),
        ({"command": ["x"], "args": ["y"]}, "Extra inputs"),
    ],
)
def test_a_wrong_server_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        server(**fields)


@pytest.mark.parametrize("name", ["", "aegis", "Upper", "a__b", "-a", "a b", "a.b", "x" * 33, "a\n"])
def test_a_name_becomes_part_of_the_names_of_tools(name: str) -> None:
    check_server_name("git-hub_2")
    with pytest.raises(ValueError, match="cannot be the name of a server"):
        check_server_name(name)


def test_secrets_are_not_in_what_is_printed() -> None:
    one = server(command=["x"], environment={"KEY": "hidden"})
    other = server(url="https://a.example/", headers={"Authorization": "hidden"})
    assert "hidden" not in f"{one!r} {other!r} {one.model_dump(mode='json')} {other.model_dump_json()}"


def test_an_agent_gets_the_servers_that_need_nothing_outside_its_boundary() -> None:
    servers = {
        "files": server(command=["files"]),
        "issues": server(command=["issues"], addresses=["api.a.example:443", "b.example:443"]),
        "far": server(url="https://Far.example/mcp"),
        "near": server(url="http://localhost:8080/mcp"),
        "near6": server(url="https://[::1]:9/mcp"),
    }
    assert local_addresses(servers) == ("[::1]:9", "localhost:8080")
    assert sorted(usable(servers, [])) == ["files", "near", "near6"]
    assert sorted(usable(servers, ["far.example:443", "b.example:443"])) == ["far", "files", "near", "near6"]
    assert sorted(usable(servers, ["b.example:443", "API.a.example:443"])) == ["files", "issues", "near", "near6"]
    assert refusals(servers, "codex", ["b.example:443"]) == [
        "agents of the kind codex do not get the MCP server far: far.example:443 is outside the boundary; "
        "list it in [boundary] under codex",
        "agents of the kind codex do not get the MCP server issues: api.a.example:443 is outside the boundary; "
        "list it in [boundary] under codex",
    ]
