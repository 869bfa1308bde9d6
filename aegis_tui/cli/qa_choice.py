"""Asks the person how the result of a run is checked, where nothing in the repository makes it sure (FLOW-7)."""

from __future__ import annotations

import sys

from aegis_tui.cli import output
from aegis_tui.errors import AegisError

SUGGESTIONS = "suggestions"


def ask_for_checks(error: AegisError) -> tuple[str, ...] | None:
    """Return the commands that the person chooses or types, after a run was refused because no QA command is known.

    Asks on stderr, and reads one line of stdin: numbers of the suggested commands, with commas, or one command. None if
    the refusal is another one, nobody can be asked, or the answer is empty or has a number that was not offered.

    Args:
        error: The refusal.
    """
    suggested = error.data.get(SUGGESTIONS)
    if not isinstance(suggested, list) or not sys.stdin.isatty() or not sys.stderr.isatty():
        return None
    choices = [text for text in suggested if isinstance(text, str)]
    output.talk("No QA command is known for this repository. How should the result be checked?")
    for number, command in enumerate(choices, 1):
        output.talk(f"  {number}  {command}")
    output.talk(
        "Type a number, several numbers with commas, or a command. The answer is remembered for this repository:"
    )
    return _chosen(sys.stdin.readline().strip(), choices)


def _chosen(answer: str, choices: list[str]) -> tuple[str, ...] | None:
    if not answer:
        return None
    parts = [part.strip() for part in answer.split(",")]
    if all(part.isdecimal() for part in parts):
        places = [int(part) for part in parts]
        return tuple(choices[at - 1] for at in places) if all(0 < at <= len(choices) for at in places) else None
    return (answer,)
