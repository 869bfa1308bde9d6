"""Suggested partitions as a hint in the Commander's brief, within a budget (PART-4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from aegis_tui.domain.code_map.text import one_line
from aegis_tui.domain.wire.code_map import PartitionOutput, PartRow

MOST_CHARS: Final = 2_400
"""About 800 tokens."""
_REASON_CHARS: Final = 160
_HEAD: Final = (
    "A suggestion, computed from imports, history and sizes, not from the goal. Divide by the goal first, with as few "
    "imports from one feature to another as here:"
)


def hint_text(answer: PartitionOutput) -> str:
    """Return a suggestion as text for a model, at most `MOST_CHARS` characters; empty if it has fewer than two parts.

    Globs that find no place are counted.
    """
    if len(answer["parts"]) < 2:
        return ""
    rows = [_HEAD, *_parts(answer["parts"])]
    for where in ("joint", "foundation"):
        globs = [row["glob"] for row in answer["outside"] if row["where"] == where]
        if globs:
            rows.append(f"- {where}: {_listed(globs, MOST_CHARS // 8)}")
    text = "\n".join(rows)
    return text if len(text) <= MOST_CHARS else f"{text[: MOST_CHARS - 1]}…"


def _parts(parts: Sequence[PartRow]) -> Iterator[str]:
    room = (MOST_CHARS - len(_HEAD) - MOST_CHARS // 4) // len(parts)
    for part in parts:
        reason = one_line(part["reason"], limit=_REASON_CHARS)
        head = f"- {part['name']} ({part['lines']} lines; {reason}): "
        yield head + _listed(part["globs"], max(40, room - len(head)))


def _listed(globs: Sequence[str], room: int) -> str:
    """Return the first globs that have room, the shortest way to write them first, and how many more there are."""
    ordered = sorted(globs, key=lambda glob: (not glob.endswith("*"), globs.index(glob)))
    listed: list[str] = []
    for glob in ordered:
        if listed and sum(map(len, listed)) + 2 * len(listed) + len(glob) > room:
            break
        listed.append(one_line(glob, limit=120))
    more = len(globs) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more else "")
