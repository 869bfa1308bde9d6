"""What a run records about agent kinds, and which MCP servers their instances get (AGENT-1, AGENT-5, AGENT-7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aegis_tui.domain.mcp_server import McpServer, local_addresses, refusals
from aegis_tui.domain.run.design import Design
from aegis_tui.domain.run.events import RunOptions
from aegis_tui.ports.agent_kind import KindFacts

FindServers = Callable[[], Mapping[str, McpServer]]
"""Returns the MCP servers of the person's settings by name, read again each time. Raises `UsageError`."""

NO_GUARD = "it does not ask before each edit, as --sandbox strict requires; its writes are checked at the commit only"
"""Why strict mode does not start instances of a kind."""

Boundary = Mapping[str, tuple[str, ...]]
"""Kind of agent -> the addresses that its instances may reach."""


def kind_facts(kinds: Sequence[KindFacts], *, is_strict: bool) -> dict[str, Any]:
    """Return the fields of `RunFacts` about the agent kinds.

    They are `kinds` (all names), `kind_faults` (name -> why it cannot run here), `kind_refusals` (name -> why it may
    not run) and `limited_kinds` (those without verdicts and designs).

    Args:
        kinds: What is known about every kind.
        is_strict: Whether only those may run that check each edit before they make it (AGENT-5).
    """
    unchecked = [kind.name for kind in kinds if is_strict and not kind.checks_edits]
    return {
        "kinds": tuple(kind.name for kind in kinds),
        "kind_faults": {kind.name: f"{kind.fault}: {kind.remedy}" for kind in kinds if kind.fault},
        "kind_refusals": dict.fromkeys(unchecked, NO_GUARD),
        "limited_kinds": tuple(kind.name for kind in kinds if kind.is_limited),
    }


def with_local_servers(boundary: Boundary, servers: Mapping[str, McpServer], kinds: Sequence[KindFacts]) -> Boundary:
    """Return a copy of the boundary with the addresses of this machine's MCP servers, for each kind that takes MCP.

    Args:
        boundary: Kind -> the addresses that its agents may reach; of the person's settings.
        servers: The MCP servers by name; those that are reached over HTTP on this machine count.
        kinds: What is known about every kind.
    """
    local = local_addresses(servers)
    takers = [kind.name for kind in kinds if kind.takes_mcp] if local else []
    return {**boundary, **{name: tuple(dict.fromkeys((*boundary.get(name, ()), *local))) for name in takers}}


def server_warnings(
    servers: Mapping[str, McpServer], kinds: Sequence[KindFacts], options: RunOptions, design: Design | None
) -> list[str]:
    """Return a sentence for each MCP server that agents of a kind of this run do not get; empty if there is none.

    For a kind that takes no MCP servers, one sentence names them all.

    Args:
        servers: The servers by name.
        kinds: What is known about every kind.
        options: The options of the run; their kind is used where the design names none.
        design: The design; None if it is not known yet.
    """
    used = {options.kind, *(feature.kind for feature in design.features if feature.kind)} if design else {options.kind}
    known = {kind.name: kind for kind in kinds}
    warnings: list[str] = []
    for name in sorted(used & known.keys()) if servers else ():
        if known[name].takes_mcp:
            warnings += refusals(servers, name, options.boundary.get(name, ()))
        else:
            warnings.append(f"agents of the kind {name} take no MCP servers, so they get none of {', '.join(servers)}")
    return warnings
