"""Asks the hub's code map for the model, and writes the answer in lines (MAP-5)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aegis_tui.domain.code_map.shadow import doc_of
from aegis_tui.domain.code_map.text import one_line
from aegis_tui.domain.tool.model import MapArguments
from aegis_tui.ports.hub_link import HubLink

_TIMEOUT_S = 60.0
"""The first question of a large repository has its map built."""

_MOST_ENTRIES = 60
_SIGNATURE_CHARS = 160
_DEFINED = re.compile(r"def (\w+)(?=\()")
"""The beginning of a signature that repeats the name of the caller, which stands before it."""


async def ask_map(link: HubLink, wanted: MapArguments) -> str:
    """Return the answer to a question, an entry for each place; a remark if there is none.

    An entry is a line. Of `callers`, the first ones are the definitions; they have their code below, and so have calls.

    Raises:
        UsageError: The map has nothing of that name.
        HubUnavailable: The hub does not answer in time, or has no map.
        AegisError: The map cannot be read.
    """
    reply = await link.command("map:ask", timeout_s=_TIMEOUT_S, question=wanted.question, about=wanted.about)
    answer = reply.get("answer") or {}
    entries = list(_entries(answer))
    if len(entries) > _MOST_ENTRIES:
        entries = [*entries[:_MOST_ENTRIES], f"({len(entries) - _MOST_ENTRIES} more)"]
    entries += [f"({path} has changed since it was read)" for path in answer.get("stale", ())]
    return "\n".join(entries) or "(nothing)"


def _entries(answer: Mapping[str, Any]) -> Iterator[str]:
    for row in (*answer.get("definitions", ()), *answer.get("symbols", ())):
        at = row.get("called_at")
        words = doc_of(row) if at is None else ""
        doc = f"  # {words}" if words else ""
        place = f"{row['path']}:{row['name']} {row['first']}-{row['last']}"
        yield f"{place}\n{row['code']}" if row.get("code") else f"{place}: {row['signature']}{doc}"
    for row in answer.get("sites", ()):
        yield _site(row)
    for row in answer.get("dependents", ()):
        calls = ", ".join(row["calls"][:5]) or "imports it"
        yield f"{row['path']}{' (test)' if row['is_test'] else ''}: {calls}"


def _site(row: Mapping[str, Any]) -> str:
    """Return a call in one line; with the signature around it and its code below where the answer has code."""
    unsure = "" if row["certain"] else " (uncertain: only the name matches)"
    at = f"{row['path']}:{row['line']} in {row['caller'] or 'the module'}"
    if not (code := row.get("code")):
        return f"{at}: {row['call']}{unsure}"
    signature = row["signature"]
    head = signature.partition("(")[0]
    around = "" if not head or head in code else one_line(signature, limit=_SIGNATURE_CHARS)
    defined = _DEFINED.match(around)
    if defined is not None and row["caller"].rpartition(".")[2] == defined[1]:
        return f"{at}{around[defined.end() :]}{unsure}\n{code}"
    return f"{at}{': ' if around else ''}{around}{unsure}\n{code}"
