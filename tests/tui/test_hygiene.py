"""What the interface may not drag in: it would be waited for at every start (design 5, PERF-5)."""

from __future__ import annotations

import subprocess
import sys

FORBIDDEN = (
    "sqlite3",
    "starlette",
    "uvicorn",
    "git",
    "libtmux",
    "watchdog",
    "httpx",
    "typer",
    "ruamel.yaml",
    "aegis_tui.adapters",
)


def test_the_dashboard_starts_without_what_it_does_not_need() -> None:
    code = (
        "import sys; import aegis_tui.tui.app, aegis_tui.tui.feed, aegis_tui.cli.session\n"
        f"print([name for name in {FORBIDDEN!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
