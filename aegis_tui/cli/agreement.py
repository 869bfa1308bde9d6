"""Asks the person whether a command may do what cannot be undone."""

from __future__ import annotations

import sys

from aegis_tui.cli import output
from aegis_tui.errors import UsageError


def agrees(question: str, *, verb: str) -> bool:
    """Ask the person on stderr; return True for y or yes on stdin, else False.

    Args:
        question: What is asked, with its question mark.
        verb: What the command does, such as `push`, for the error.

    Raises:
        UsageError: Nobody can be asked, as stdin is no terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            f"you cannot be asked whether to {verb}, because there is no terminal",
            f"look with --dry-run, then {verb.split()[0]} with --yes",
        )
    output.talk(f"{question} [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
