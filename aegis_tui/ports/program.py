"""How a program runs to its end while its output is collected; used for QA commands and set-up steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

TAIL_BYTES = 256 * 1024
"""How many bytes at the end of a program's output are kept unless the caller chooses otherwise."""


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """How a program ended."""

    exit_code: int | None
    """None when the runner ended it; the negative signal number when a signal from elsewhere ended it."""
    output: str
    """Stdout and stderr together, as text; where `head_bytes` was given, a line says how much was left out."""
    duration_s: float
    stopped: str = ""
    """Which bound it exceeded, in words, if the runner ended it for that; empty otherwise."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a program may use besides time. Without a value and without folders there is no bound."""

    output_bytes: int | None = None
    """How many bytes it may print."""
    folders: tuple[Path, ...] = ()
    """Folders that it writes, counted together."""
    disk_bytes: int = 0
    """How many bytes the folders may take."""


class ProgramRunner(Protocol):
    """Runs one program without a terminal and without input, and ends everything it started when it ends."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        timeout_s: float,
        head_bytes: int = 0,
        tail_bytes: int = TAIL_BYTES,
        bounds: Bounds | None = None,
        follow: Callable[[bytes], object] | None = None,
    ) -> ProgramResult:
        """Run the program to its end and return how it ended.

        Args:
            argv: The program and its arguments.
            cwd: Its working directory.
            environment: Its whole environment, apart from a mark by which the runner finds its processes.
            timeout_s: The program is ended after that many seconds; the result has then neither `exit_code` nor
                `stopped`.
            head_bytes: How many bytes at the beginning of its output are kept.
            tail_bytes: How many bytes at the end are kept.
            bounds: The program is ended when it exceeds one of them; `stopped` of the result says which.
            follow: Receives each part of its output when it comes; called on the event loop.

        Raises:
            Unavailable: There is no such program, or no such folder `cwd`.
            OSError: It cannot be started for another reason, for example because it is not executable.
        """
        ...
