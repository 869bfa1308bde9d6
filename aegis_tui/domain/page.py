"""Pages: answers that would be too large are cut, and hold a cursor for the rest (`limit`: page.*).

The rest is announced by `more` and `next_after` for messages, and by `next` for the shared context. A shared context
that fits has no `next`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from aegis_tui.domain.limit import MESSAGES_PAGE, STATE_PAGE
from aegis_tui.domain.message.model import PendingMessage
from aegis_tui.domain.model import compact_json, json_of
from aegis_tui.domain.wire.context import ContextSection, SharedContext
from aegis_tui.domain.wire.reply import MessageFields, MessagesReply
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
"""The sections of the shared context that can be cut, most important first. The entries of a cut section are sorted by
name; those of `recent_changes` have no names and go by their position."""


def messages_page(waiting: Iterable[PendingMessage], after: int, *, most: int = MESSAGES_PAGE.most) -> MessagesReply:
    """Return as many messages as fit, oldest first, at least one if there is any.

    Args:
        waiting: The messages newer than `after`, oldest first.
        after: The cursor in the request: the number of the last message that the sender has.
        most: The size of the page in bytes, as JSON; the only message of a page may be larger.

    Returns:
        `messages`, `more` (whether some are left), and `next_after`, the cursor for the next request.
    """
    page: list[MessageFields] = []
    left = most
    more = False
    for item in waiting:
        plain = json_of(item, MessageFields)
        left -= size_of(plain)
        if more := left < 0 and bool(page):
            break
        page.append(plain)
    return {"messages": page, "more": more, "next_after": page[-1]["seq"] if page else after}


def context_page(view: SharedContext, *, most: int = STATE_PAGE.most) -> SharedContext:
    """Return the shared context, with sections cut if it is too large; then `next` maps each cut one to its cursor.

    The most important sections are filled first. A context that fits has no `next` and is returned itself. Fields that
    are not in `SECTIONS` are never cut, so the result can still be larger than `most`.

    Args:
        view: The result of `snapshot_view`; it is not changed.
        most: The size of the answer in bytes.
    """
    if size_of(view) <= most:
        return view
    bare: dict[str, Any] = {name: value for name, value in view.items() if name not in SECTIONS}
    if run := view["run"]:
        bare["run"] = {name: value for name, value in run.items() if f"run.{name}" not in SECTIONS}
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
    return cast(SharedContext, {**bare, "next": cursors})


def section_page(view: SharedContext, section: str, after: str, *, most: int = STATE_PAGE.most) -> ContextSection:
    """Return the entries of one section after a cursor that fit, at least one if there is any.

    Args:
        view: The result of `snapshot_view`.
        section: One of `SECTIONS`.
        after: The cursor; empty for the first page.
        most: The size of the answer in bytes.

    Returns:
        `seq`, `section`, `entries` (a table or a list, as in the view) and, when there are more, `next`: the section ->
        its next cursor. `entries` is empty if the view has no such section, as without a run.

    Raises:
        UsageError: There is no such section.
    """
    if section not in SECTIONS:
        raise UsageError(f"there is no section {section[:60]}", f"one of {', '.join(SECTIONS)}")
    whole = _section(view, section) or []
    kept, cursor, _ = _cut(section, whole, after, most, at_least=1)
    page: ContextSection = {"seq": view["seq"], "section": section, "entries": kept}
    if cursor is not None:
        page["next"] = {section: cursor}
    return page


def size_of(value: object) -> int:
    """Return the size in bytes of a value written as compact JSON in UTF-8.

    Raises:
        PydanticSerializationError: It holds an object that pydantic cannot write as JSON.
    """
    return len(compact_json(value).encode("utf-8", "replace"))


def _section(view: Mapping[str, Any], section: str) -> Any:
    outer, _, inner = section.rpartition(".")
    holder = view.get(outer) if outer else view
    return holder.get(inner) if isinstance(holder, dict) else None


def _put(view: dict[str, Any], section: str, value: object) -> None:
    outer, _, inner = section.rpartition(".")
    (view[outer] if outer else view)[inner] = value


def _cut(section: str, whole: Any, after: str, most: int, *, at_least: int = 0) -> tuple[Any, str | None, int]:
    """Return the entries after the cursor that fit, the cursor of the next page, and the bytes that they take.

    The cursor is None if no entry is left; it is `after` itself if not one entry fits.

    Args:
        section: The name of the section.
        whole: Its entries, as a table or a list; the result has the same form.
        after: The cursor; empty for the first page.
        most: How many bytes fit.
        at_least: How many entries are returned even if they do not fit.
    """
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
