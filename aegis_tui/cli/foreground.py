"""The hub in this process: what `aegis-tui hub start` starts in the background.

Started by the letter, it does without Typer, which is a fifth of its start.
"""

from __future__ import annotations

import gc
from pathlib import Path

from aegis_tui.cli.place import here

_SPELT = ["hub", "start", "--foreground", "--root"]


def run_plain(arguments: list[str]) -> int | None:
    """Run the hub when the arguments are those of `hub_command`; None leaves them to Typer.

    Raises:
        AegisError: There is no repository.
    """
    if arguments[:-1] != _SPELT:
        return None
    return serve(Path(arguments[-1]))


def serve(root: Path | None) -> int:
    """Serve the repository of a folder until the hub is told to stop; returns the exit code.

    Raises:
        AegisError: There is no repository.
    """
    gc.disable()  # a tenth of a start goes to collecting what it has just imported; on again once the hub serves
    from aegis_tui.bootstrap.hub import serve_hub

    return serve_hub(here(root).root)
