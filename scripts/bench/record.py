"""What a benchmark leaves behind: every raw sample, with the commit, the machine and its load."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "docs" / "benchmarks"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured.

    Attributes:
        name: Short name, unique in its benchmark.
        what: What was measured, in words.
        unit: Unit of the samples.
        samples: Every sample, in the order taken.
        against: The figure of the same benchmark that this one is set against as a ratio, or None.
    """

    name: str
    what: str
    unit: str
    samples: tuple[float, ...]
    against: str | None = None


def record_of(bench: str, figures: list[Figure], load_before: float) -> dict[str, Any]:
    """The record of a run that has just ended.

    Args:
        bench: Name of the benchmark.
        figures: What it measured.
        load_before: Load average over one minute when it began.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "bench": bench,
        "commit": _git("rev-parse", "HEAD"),
        "changed_since_commit": bool(_git("status", "--porcelain", "--", "aegis_tui", "scripts/bench")),
        "recorded_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": _machine(),
        "load": {"before": round(load_before, 2), "after": round(os.getloadavg()[0], 2)},
        "figures": [asdict(figure) for figure in figures],
    }


def write_record(record: dict[str, Any]) -> Path:
    """Write a record to its place, replacing the one before; returns the file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{record['bench']}.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return path


def read_records() -> dict[str, dict[str, Any]]:
    """Every record, by the benchmark's name."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def _machine() -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu() -> str:
    about = Path("/proc/cpuinfo")
    if about.is_file():
        for line in about.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _git(*arguments: str) -> str:
    argv = ["git", "-c", "safe.directory=*", "-C", str(ROOT), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()
