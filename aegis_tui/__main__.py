"""Entry point of `aegis-tui` and `python -m aegis_tui`: handles the two fast cases, passes the rest to the CLI."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with a code of contract 3."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        from aegis_tui import __version__

        sys.stdout.write(f"aegis-tui {__version__}\n")
        raise SystemExit(0)
    if arguments[:1] == ["pane-exec"]:
        from aegis_tui.orchestrator import pane_exec

        pane_exec.main(arguments[1:])
    from aegis_tui.cli.main import run

    raise SystemExit(run(arguments))


if __name__ == "__main__":
    main()
