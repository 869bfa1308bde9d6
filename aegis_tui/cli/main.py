"""The command line from its words to its exit code: the one place where errors become codes.

Typer, with the pydantic that it checks arguments with, costs 0.15 s. Plain lock commands (LOCK-6), hubs and the session
without flags do without.
"""

from __future__ import annotations

from aegis_tui.cli import foreground, hub_start, lock_verbs, output, session
from aegis_tui.errors import AegisError


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code of contract 3."""
    try:
        for run_plain in (foreground.run_plain, hub_start.run_plain, lock_verbs.run_plain, session.run_plain):
            if (code := run_plain(arguments)) is not None:
                return code
        return _run_any(arguments)
    except AegisError as error:
        return output.failure(error, as_json="--json" in arguments)
    except KeyboardInterrupt:
        output.talk("interrupted")
        return 130


def _run_any(arguments: list[str]) -> int:
    from aegis_tui.cli import tree

    return tree.run(arguments)
