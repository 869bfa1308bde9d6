"""PERF-5: how long `aegis-tui --version` takes, against an interpreter that does nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from scripts.bench.record import Figure

ROUNDS = 40
WARM_UP = 3


def run_startup() -> list[Figure]:
    """Start each program in turn, so that a change of load meets all of them alike."""
    script = Path(sys.executable).with_name("aegis-tui")
    programs = {
        "version": [str(script), "--version"],
        "module": [sys.executable, "-m", "aegis_tui", "--version"],
        "interpreter": [sys.executable, "-c", "pass"],
    }
    samples: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(WARM_UP + ROUNDS):
        for name, argv in programs.items():
            spent_ms = _time_ms(argv)
            if number >= WARM_UP:
                samples[name].append(round(spent_ms, 3))
    words = {
        "version": "`aegis-tui --version`",
        "module": "`python -m aegis_tui --version`",
        "interpreter": "`python -c pass`",
    }
    pairs = zip(samples["version"], samples["interpreter"], strict=True)
    return [
        *(
            Figure(name, words[name], "ms", tuple(samples[name]), None if name == "interpreter" else "interpreter")
            for name in programs
        ),
        Figure("version_ratio", f"{words['version']} over {words['interpreter']}", "×", tuple(a / b for a, b in pairs)),
    ]


def _time_ms(argv: list[str]) -> float:
    start = time.perf_counter()
    # Without a time limit: with one, Python looks for the end in steps of milliseconds.
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - start) * 1000
