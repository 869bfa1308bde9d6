"""Front matter of Markdown files: the lines of YAML between `---` at the start, with what the file is about (MAP-4)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from aegis_tui.domain.code_map.text import DOC_CHARS, one_line

_MOST_LINES: Final = 100
_KEYS: Final = ("description", "summary", "title", "name")
"""Which of its keys says what the file is about, the best first."""
_FIELD: Final = re.compile(r"([A-Za-z_-]{1,40}):(?:\s+(.*))?$")
_BLOCK: Final = re.compile(r"[|>][+-]?\d?\s*$")


def read_front_matter(lines: Sequence[str]) -> tuple[str, int]:
    """Return what front matter says that a file is about, on one line, and how many lines the front matter has.

    The text is that of `description`, else of `summary`, `title` or `name`; it may be empty. Without front matter, or
    if it does not end within 100 lines, the result is `("", 0)`. It is read line by line, not as YAML: nothing in it is
    evaluated.
    """
    if not lines or lines[0].rstrip() != "---":
        return "", 0
    ends = (at for at, line in enumerate(lines[1:_MOST_LINES], start=1) if line.rstrip() in ("---", "..."))
    end = next(ends, 0)
    if not end:
        return "", 0
    fields: dict[str, str] = {}
    last = ""
    for line in lines[1:end]:
        if match := _FIELD.match(line.rstrip()):
            last = match[1].lower()
            value = (match[2] or "").strip()
            fields[last] = "" if _BLOCK.match(value) else value
        elif line[:1].isspace() and last:
            fields[last] = f"{fields[last]} {line.strip()}"
    text = next((fields[key] for key in _KEYS if fields.get(key, "").strip()), "")
    return one_line(_unquoted(text.strip()), limit=DOC_CHARS), end + 1


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
