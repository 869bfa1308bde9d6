"""Upgrades the older short form of a spec to the present one, without loss (SPEC-9)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, get_args

from aegis_tui.domain.spec.document import ItemStatus, Priority
from aegis_tui.domain.spec.model import SpecStatus

_OWN = ("acceptance", "assignedAgent", "agents", "context", "title", "description")
_CONTEXT = ("files", "dependencies", "env_vars")
_LONG = ("metadata", "requirements", "tasks", "changeLog")
_DATED_ID = re.compile(r"(\d{4}-\d\d-\d\d)-(\d\d)-(\d\d)-(\d\d)-")
_STATUSES: Final[Mapping[str, SpecStatus]] = {
    "todo": "approved",
    "open": "approved",
    "new": "approved",
    "pending": "approved",
    "ready": "approved",
    "assigned": "planning",
    "in_progress": "in-progress",
    "in progress": "in-progress",
    "doing": "in-progress",
    "done": "completed",
    "closed": "completed",
    "error": "failed",
    "canceled": "cancelled",
}
PRIORITY_NAMES: Final[Mapping[str, Priority]] = {
    **{name: name for name in get_args(Priority)},
    "p0": "critical",
    "p1": "high",
    "p2": "medium",
    "p3": "low",
    "urgent": "critical",
    "normal": "medium",
}
"""What other programs call the priorities, in lower case."""


def is_short(data: object) -> bool:
    """Return whether the values of a file are a spec in the short form: a title at the top, or its criteria."""
    if not isinstance(data, Mapping) or any(name in data for name in _LONG):
        return False
    return any(name in data for name in ("title", "acceptance", "assignedAgent"))


def upgraded(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same spec in the present form, as the values of a file; it may still break its rules.

    A field that the present form does not have, or whose value it does not allow, is kept in `metadata.extra`. The
    title becomes the only task, the files of the context its files.
    """
    extra = {name: value for name, value in data.items() if name not in (*_OWN, "id", "status", "priority", "version")}
    spec: dict[str, Any] = {"id": data.get("id", ""), "version": data.get("version", "0.1.0")}
    _translate(spec, extra, data, "priority", PRIORITY_NAMES, "medium")
    _translate(spec, extra, data, "status", {**{name: name for name in get_args(SpecStatus)}, **_STATUSES}, "approved")
    for name in ("agents", "assignedAgent"):
        if data.get(name):
            spec[name] = _list(data[name]) if name == "agents" else data[name]
    metadata: dict[str, Any] = {"title": data.get("title", ""), "description": data.get("description", "")}
    if match := _DATED_ID.match(str(data.get("id", ""))):
        metadata["createdAt"] = f"{match[1]}T{match[2]}:{match[3]}:{match[4]}Z"
    spec["metadata"] = metadata
    context = data.get("context")
    if isinstance(context, Mapping):
        spec["context"] = {name: _list(context[name]) for name in _CONTEXT if name in context}
        if more := {name: value for name, value in context.items() if name not in spec["context"]}:
            extra["context"] = more
    elif context is not None:
        extra["context"] = context
    status: ItemStatus = "completed" if spec["status"] == "completed" else "pending"
    criteria = _list(data.get("acceptance", ()))
    if not all(isinstance(item, str) for item in criteria):
        extra["acceptance"] = criteria
    elif criteria:
        spec["requirements"] = [
            {"id": "R1", "description": metadata["title"], "status": status, "acceptanceCriteria": criteria}
        ]
    spec["tasks"] = [{"id": "T1", "title": metadata["title"], "status": status}]
    if extra:
        metadata["extra"] = extra
    return spec


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value in (None, "") else [value]


def _translate(
    spec: dict[str, Any],
    extra: dict[str, Any],
    data: Mapping[str, Any],
    name: str,
    names: Mapping[str, str],
    default: str,
) -> None:
    """Set a field to the present name of its value; an unknown value is kept in `extra`, and the default is set."""
    value = data.get(name)
    spec[name] = names.get(str(value).strip().lower(), default) if value is not None else default
    if value is not None and spec[name] != value:
        extra[name] = value
