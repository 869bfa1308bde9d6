"""The accelerators of this machine, as `nvidia-smi` reports them; none without that program."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping

from aegis_tui.domain.wire.machine import CardFields

_QUERY = "name,memory.total,memory.used,utilization.gpu"
_TIMEOUT_S = 10.0


def find_cards(environ: Mapping[str, str]) -> list[CardFields]:
    """Return the NVIDIA accelerators with their memory and load, as `nvidia-smi` lists them. Blocks for at most 10 s.

    Empty if there are none, the program is missing or fails, or it does not answer in time.

    Args:
        environ: The environment; the program is looked for on its PATH.
    """
    program = shutil.which("nvidia-smi", path=environ.get("PATH"))
    if program is None:
        return []
    argv = [program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [card for line in done.stdout.splitlines() if (card := _card(line)) is not None]


def _card(line: str) -> CardFields | None:
    """Return the card that a line describes; None for a line of another form. A figure that is not known is None."""
    name, *figures = (part.strip() for part in line.rsplit(",", 3))
    if len(figures) != 3 or not figures[0].isdecimal():
        return None
    total, used, busy = (int(figure) if figure.isdecimal() else None for figure in figures)
    return CardFields(name=name, memory_mib=total or 0, used_mib=used, busy_percent=busy)
