"""Files that a program generates: they are generated again, never merged by lines (GIT-3).

Source: https://go.dev/s/generatedcode, and the mark `@generated` that other tools write.
"""

from __future__ import annotations

import re
from typing import Final

_HEAD_LINES: Final = 20
_HEAD_CHARACTERS: Final = 4000
_MOST_WORDS: Final = 100
_COMMENT: Final = re.compile(r"\s*(?:#|//|/\*|\*|--|;|<!--|%|\"\"\"|'''|\.\. )")
_MARK: Final = re.compile(r"(?<![\w`])@generated\b")
_NOT_TO_EDIT: Final = re.compile(r"\bdo not (?:edit|modify)\b", re.IGNORECASE)
_GENERATED: Final = re.compile(r"\b(?:auto-?)?generated\b", re.IGNORECASE)
_BY: Final = re.compile(
    r"generated (?:automatically )?(?:by|with|using) (?P<program>.+?)"
    r"(?:[;.,:!]*\s+(?:please )?do not (?:edit|modify)\b.*|\s*(?:\*/|-->|\"\"\"))?\s*$",
    re.IGNORECASE,
)
_START: Final = "generated: make it again"
_FORESEEN: Final = "will be regenerated"


def generator_of(text: str) -> str | None:
    """Return what generates a file, as the comment at its top says; empty if that is not said, None if nothing does.

    Args:
        text: The file. Only comments in its first 20 lines count.
    """
    head = text[:_HEAD_CHARACTERS].split("\n")[:_HEAD_LINES]
    comments = [line for line in head if _COMMENT.match(line)]
    is_marked = any(_MARK.search(line) for line in comments)
    says_so = any(map(_GENERATED.search, comments)) and any(map(_NOT_TO_EDIT.search, comments))
    if not is_marked and not says_so:
        return None
    named = (match["program"].strip(" .;,`'\"") for line in comments if (match := _BY.search(line)))
    program = next(named, "")
    return program if program.isprintable() and len(program) <= _MOST_WORDS else ""


def generating(program: str = "") -> str:
    """Return why a generated file is not merged, and what to do instead.

    Args:
        program: What generates it; empty if that is not known.
    """
    how = f"with {program}" if program else "with the program that generates it"
    return f"{_START} {how}, from the merged sources"


def foreseen(reason: str) -> str:
    """Return what will become of a generated file that two pieces change while both are worked on.

    Args:
        reason: The result of `generating` for it.
    """
    return f"{_FORESEEN}{reason.removeprefix(_START)}"


BY_MANAGER: Final = f"{_FORESEEN} by its package manager, from the merged manifests"
"""What will become of a lockfile that two pieces change, where its package manager is installed."""


def is_foreseen(reason: str) -> bool:
    """Whether a reason says that a file will be regenerated."""
    return reason.startswith(_FORESEEN)


def is_generating(reason: str) -> bool:
    """Whether the reason of a conflict is that the file is generated."""
    return reason.startswith(_START)
