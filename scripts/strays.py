"""Removes from the running environment what a lock does not name: a stray package could hide a missing one.

Run as `python scripts/strays.py requirements/dev.txt`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

KEPT = frozenset({"pip", "aegis-tui"})
"""Installed by other means than the lock."""


def normalise(name: str) -> str:
    """The form in which two spellings of a distribution's name are equal; source: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_names(lock: str) -> frozenset[str]:
    """Normalised names that a lock pins."""
    return frozenset(normalise(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE))


def main(arguments: list[str]) -> int:
    """Uninstall strays; returns pip's exit code."""
    wanted = locked_names(Path(arguments[0]).read_text("utf-8")) | KEPT
    strays = sorted({normalise(item.name) for item in metadata.distributions()} - wanted)
    if not strays:
        return 0
    return subprocess.run([sys.executable, "-m", "pip", "uninstall", "-q", "-y", *strays], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
