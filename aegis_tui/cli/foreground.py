"""`aegis-tui hub start --foreground`: runs the hub in this process. `hub start` runs it so in the background.

Typer is not imported for exactly these arguments, because that would be a fifth of the hub's start.
"""

from __future__ import annotations

import gc
from pathlib import Path

from aegis_tui.cli.place import here

_SPELT = ["hub", "start", "--foreground", "--root"]


def run_plain(arguments: list[str]) -> int | None:
    """Run the hub if the arguments are exactly `hub start --foreground --root FOLDER`, and return its exit code.

    It returns only when the hub has been stopped. For any other arguments, do nothing and return None, so that Typer
    handles them.

    Raises:
        GitUnavailable: The folder is not in a repository, or git is missing.
        UsageError: The folder does not exist, or a setting is wrong.
    """
    if arguments[:-1] != _SPELT:
        return None
    return serve(Path(arguments[-1]))


def serve(root: Path | None) -> int:
    """Run the hub of the repository around `root` until it is stopped; return the exit code.

    If the hub cannot start or fails, why is printed on stderr, and the code is not 0. Garbage collection is switched
    off in this process until the hub serves.

    Args:
        root: A folder in the repository; None for the current folder.

    Raises:
        GitUnavailable: The folder is not in a repository, or git is missing.
        UsageError: The folder does not exist, or a setting is wrong.
    """
    gc.disable()  # garbage collection would take a tenth of the start; it is enabled again once the hub serves
    from aegis_tui.bootstrap.hub import serve_hub

    return serve_hub(here(root).root)
