"""Asks the hub's code map for the model, and writes the answer in lines (MAP-5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aegis_tui.domain.tool.model import MapArguments
from aegis_tui.ports.hub_link import HubLink

_TIMEOUT_S = 60.0
"""The first question of a large repository has its map built."""

_MOST_LINES = 60


async def ask_map(link: HubLink, wanted: MapArguments) -> str:
    """Return the answer to a question, a line for each place; a remark if there is none.

    Raises:
        UsageError: The map has nothing of that name.
        HubUnavailable: The hub does not answer in time, or has no map.
        AegisError: The map cannot be read.
    """
    reply = await link.command("map:ask", timeout_s=_TIMEOUT_S, question=wanted.question, about=wanted.about)
    answer = reply.get("answer") or {}
    lines = list(_lines(answer))
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"({len(lines) - _MOST_LINES} more)"]
    lines += [f"({path} has changed since it was read)" for path in answer.get("stale", ())]
    return "\n".join(lines) or "(nothing)"


def _lines(answer: Mapping[str, Any]) -> Iterator[str]:
    for row in answer.get("symbols", ()):
        at = row.get("called_at")
        doc = f"  # {row['doc']}" if row["doc"] and at is None else ""
        yield f"{row['path']}:{row['name']} {row['first']}-{row['last']}: {row['signature']}{doc}"
    for row in answer.get("sites", ()):
        unsure = "" if row["certain"] else " (uncertain: only the name matches)"
        yield f"{row['path']}:{row['line']} in {row['caller'] or 'the module'}: {row['call']}{unsure}"
    for row in answer.get("dependents", ()):
        calls = ", ".join(row["calls"][:5]) or "imports it"
        yield f"{row['path']}{' (test)' if row['is_test'] else ''}: {calls}"
