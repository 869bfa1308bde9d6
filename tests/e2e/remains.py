"""What a program that had a folder of its own left running, and its end: a test that fails leaves nothing either."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

GONE_S = 10.0


def running(folder: Path) -> list[psutil.Process]:
    """The processes whose command line names the folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or ())
    ]


def end_all(folder: Path) -> None:
    """End every process that names the folder in its command line or its environment, and wait until it is gone."""
    started = [process for process in psutil.process_iter() if _belongs(process, str(folder))]
    for process in started:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(started, timeout=GONE_S)


def _belongs(process: psutil.Process, folder: str) -> bool:
    try:
        return any(folder in text for text in (*process.cmdline(), *process.environ().values()))
    except psutil.Error:
        return False
