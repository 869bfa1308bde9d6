"""The support bundle: versions, checks, event counts and the ends of logs, in a form that can be shown to others.

It contains no token, no key, no content of a file, no goal, and no name of a person, home or host. It is written to a
file and sent nowhere.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aegis_tui.domain.event import Event
from aegis_tui.domain.run.history import past_runs

LOG_LINES = 200
LINE_CHARS = 500

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b(bearer|basic)\s+\S+"), r"\1 <secret>"),
    (
        re.compile(
            r"""(?i)\b((?:api[_-]?)?key|token|secret|password|passwd|authorization)(\"?\s*[=:]\s*)(\"[^\"]*\"|[^\s\",}]+)"""
        ),
        r"\1\2<secret>",
    ),
    (re.compile(r"\b(?:sk|pk|ghp|gho|ghs|glpat|xox[abpr]|hf)[-_][A-Za-z0-9_-]{8,}"), "<secret>"),
    (re.compile(r"(?<=://)[^/\s@]+@"), "<secret>@"),
    (re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]+\b"), "<address>"),
    (re.compile(r"(?<![\w/])(/home|/Users)/[^/\s\"':]+"), "~"),
    (re.compile(r"(?<![\w/])/root(?=[/\s\"':]|$)"), "~"),
    (re.compile(r"\b[0-9a-fA-F]{24,}\b"), "<hex>"),
    (re.compile(r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9_-]{32,}"), "<secret>"),
)
"""Patterns that are replaced in every text, in this order, each with its replacement."""


class Scrubber:
    """Replaces names, secrets and private paths in texts by placeholders.

    Args:
        names: Words of this machine, such as the user and the host -> their placeholders.
        paths: Folders -> their placeholders; longer paths are replaced first.
    """

    def __init__(self, *, names: Mapping[str, str], paths: Mapping[str, str]) -> None:
        self._paths = sorted(((path, word) for path, word in paths.items() if len(path) > 1), key=lambda p: -len(p[0]))
        self._names = [
            (re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"), word)
            for name, word in names.items()
            if len(name) > 1
        ]

    def text(self, text: str) -> str:
        """Return the text with placeholders for names, secrets and private paths.

        What is over 500 characters is cut off.
        """
        for path, word in self._paths:
            text = text.replace(path, word)
        for pattern, word in (*_RULES, *self._names):
            text = pattern.sub(word, text)
        return text if len(text) <= LINE_CHARS else f"{text[:LINE_CHARS]}…"

    def all(self, value: Any) -> Any:
        """Return a copy of a JSON value in which every text is scrubbed by `text`; its keys are not changed.

        Names, secrets and private paths in a text are replaced by placeholders; what is over 500 characters is cut off.
        """
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {str(name): self.all(item) for name, item in value.items()}
            case list() | tuple():
                return [self.all(item) for item in value]
            case _:
                return value


def log_tail(path: Path, scrubber: Scrubber, *, lines: int = LOG_LINES) -> list[str]:
    """Return the last `lines` lines of a log, with placeholders for secrets; empty if it cannot be read.

    Of very long lines fewer are returned: at most `lines` times 500 bytes are looked at.
    """
    try:
        text = path.read_bytes()[-lines * LINE_CHARS :].decode("utf-8", "replace")
    except OSError:
        return []
    return [scrubber.text(line) for line in text.splitlines()[-lines:]]


def event_facts(events: Iterable[Event]) -> dict[str, Any]:
    """Return facts about logged events: `first_seq`, `last_seq`, `counts` of each type, and `runs`.

    Of each run it has the id, state, start, duration and error, not its goal. The numbers are None without events.

    Args:
        events: In the order of the log.
    """
    logged = list(events)
    runs = [
        {name: run[name] for name in ("run", "state", "started_at", "duration_s", "error")} for run in past_runs(logged)
    ]
    return {
        "first_seq": logged[0].seq if logged else None,
        "last_seq": logged[-1].seq if logged else None,
        "counts": dict(sorted(Counter(event.type for event in logged).items())),
        "runs": runs,
    }


def render_bundle(parts: Mapping[str, Any]) -> str:
    """Return the bundle as the text of its file: JSON, with `schema_version`; a value that is not JSON becomes text."""
    return json.dumps({"schema_version": 1, **parts}, ensure_ascii=False, indent=2, default=str) + "\n"


def setting_names(origins: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return setting name -> where its value comes from, without the value.

    Args:
        origins: Setting name -> its origin, whose first item says where the value comes from.
    """
    return {name: origin[0] for name, origin in origins.items()}
