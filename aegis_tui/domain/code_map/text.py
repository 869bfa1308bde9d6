"""Short forms of source text for the map: one line, the first paragraph, the words of a name."""

from __future__ import annotations

import re
from typing import Final

SIGNATURE_CHARS: Final = 400
DOC_CHARS: Final = 300

_BLANKS = re.compile(r"\s+")
_PARAGRAPH = re.compile(r"\n\s*\n")
_WORD = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+")


def one_line(text: str, *, limit: int = SIGNATURE_CHARS) -> str:
    """Return the text on one line, with single blanks, cut to `limit` characters of which the last is then `…`."""
    line = _BLANKS.sub(" ", text.strip())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def first_paragraph(text: str) -> str:
    """Return the first paragraph of a documentation on one line, cut with `…` to `DOC_CHARS` characters."""
    return one_line(_PARAGRAPH.split(text.strip(), maxsplit=1)[0], limit=DOC_CHARS)


def words_of(text: str) -> list[str]:
    """Return the words of a text or name in lower case, in order, repeated ones too; digits and signs are left out.

    `readHTTPReply` has read, http, reply.
    """
    return [word.lower() for word in _WORD.findall(text)]
