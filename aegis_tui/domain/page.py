"""Answers that are cut where they get too large, with a cursor to go on (`limit`: page.*).

What is cut says so: `more` and `next_after` for messages, `next` for the shared context. An answer that fits is whole
and says nothing of pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from aegis_tui.domain.limit import MESSAGES_PAGE, STATE_PAGE
from aegis_tui.domain.message.model import Message
from aegis_tui.domain.model import compact_json
from aegis_tui.errors import UsageError

_NAMED_BY: Final = {
    "instances": "agent_id",
    "active_agents": "agent_id",
    "scope_requests": "request",
    "exchanges": "feature",
    "run.pieces": "name",
    "run.reviews": "review_id",
    "run.conflicts": "conflict_id",
}
"""The field that names an entry, for sections that are lists."""

SECTIONS: Final[Sequence[str]] = (
    "instances",
    "active_agents",
    "locks",
    "partitions",
    "scope_requests",
    "exchanges",
    "run.pieces",
    "run.reviews",
    "run.conflicts",
    "specs",
    "recent_changes",
)
"""What the shared context can be cut in, most wanted first; entries of a cut section come in the order of their names.

`recent_changes` has no names: its entries go by their place.
"""


def messages_page(waiting: Iterable[Message], after: int, *, most: int = MESSAGES_PAGE.most) -> dict[str, Any]:
    """As many messages as fit, one at least, oldest first.

    Args:
        waiting: Newer than `after`, oldest first.
        after: The cursor that was asked for.
        most: Bytes.
    """
    page: list[dict[str, Any]] = []
    left = most
    more = False
    for item in waiting:
        plain = item.model_dump(mode="json")
        left -= size_of(plain)
        if more := left < 0 and bool(page):
            break
        page.append(plain)
    return {"messages": page, "more": more, "next_after": page[-1]["seq"] if page else after}


def context_page(view: dict[str, Any], *, most: int = STATE_PAGE.most) -> dict[str, Any]:
    """The shared context, its sections cut where it is too large; `next` then names each cut one with its cursor.

    Args:
        view: As `snapshot_view` gives it; left as it is.
        most: Bytes.
    """
    if size_of(view) <= most:
        return view
    bare = {name: value for name, value in view.items() if name not in SECTIONS}
    if isinstance(view.get("run"), dict):
        bare["run"] = {name: value for name, value in view["run"].items() if f"run.{name}" not in SECTIONS}
    left = most - size_of(bare)
    cursors: dict[str, str] = {}
    for section in SECTIONS:
        if (whole := _section(view, section)) is None:
            continue
        kept, cursor, used = _cut(section, whole, "", left)
        left -= used
        if cursor is not None:
            cursors[section] = cursor
        _put(bare, section, whole if cursor is None else kept)
    return {**bare, "next": cursors}


def section_page(view: dict[str, Any], section: str, after: str, *, most: int = STATE_PAGE.most) -> dict[str, Any]:
    """One section from its cursor on: `entries`, and `next` when there is still more.

    Raises:
        UsageError: There is no such section.
    """
    if section not in SECTIONS:
        raise UsageError(f"there is no section {section[:60]}", f"one of {', '.join(SECTIONS)}")
    whole = _section(view, section) or []
    kept, cursor, _ = _cut(section, whole, after, most, at_least=1)
    page = {"seq": view["seq"], "section": section, "entries": kept}
    return page if cursor is None else {**page, "next": {section: cursor}}


def size_of(value: object) -> int:
    """The bytes that a value takes as JSON."""
    return len(compact_json(value).encode("utf-8", "replace"))


def _section(view: dict[str, Any], section: str) -> Any:
    outer, _, inner = section.rpartition(".")
    holder = view.get(outer) if outer else view
    return holder.get(inner) if isinstance(holder, dict) else None


def _put(view: dict[str, Any], section: str, value: object) -> None:
    outer, _, inner = section.rpartition(".")
    (view[outer] if outer else view)[inner] = value


def _cut(section: str, whole: Any, after: str, most: int, *, at_least: int = 0) -> tuple[Any, str | None, int]:
    """Entries after the cursor that fit, the cursor of the next page or None, and the bytes that they take."""
    entries = _named(section, whole)
    kept: list[tuple[str, Any]] = []
    used = 0
    cursor: str | None = None
    for name, value in entries:
        if name <= after:
            continue
        size = size_of({name: value}) if isinstance(whole, dict) else size_of(value) + 1
        if used + size > most and len(kept) >= at_least:
            cursor = kept[-1][0] if kept else after
            break
        kept.append((name, value))
        used += size
    shown: Any = dict(kept) if isinstance(whole, dict) else [value for _, value in kept]
    return shown, cursor, used


def _named(section: str, whole: Any) -> list[tuple[str, Any]]:
    if isinstance(whole, dict):
        return sorted(whole.items())
    field = _NAMED_BY.get(section)
    if field is None:
        return [(f"{place:06d}", value) for place, value in enumerate(whole)]
    return sorted(((str(value[field]), value) for value in whole), key=lambda item: item[0])
