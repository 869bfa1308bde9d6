"""Runs a command line and returns its exit code: the only place where errors become exit codes.

Typer, and pydantic, with which it checks arguments, take 0.15 s to import. Lock commands (LOCK-6), the start of a hub
and the dashboard without flags are therefore run without them.
"""

from __future__ import annotations

from aegis_tui.cli import foreground, hub_start, lock_verbs, output, session
from aegis_tui.errors import AegisError


def run(arguments: list[str]) -> int:
    """Run the command that these arguments of `aegis-tui` name; return its exit code (contract 3), 130 after Ctrl-C.

    An `AegisError` is printed, as JSON on stdout if `--json` is among the arguments, else on stderr, and its exit code
    is returned; other exceptions are raised.
    """
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
