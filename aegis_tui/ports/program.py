"""Programs that run to their end with their output collected: QA commands, set-up steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

TAIL_BYTES = 256 * 1024
"""What is kept of a program's output when nothing else is asked for: its end."""


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """How a program ended."""

    exit_code: int | None
    """None when it was ended because its time was up; negative for a signal that it got itself."""
    output: str
    """Stdout and stderr together, as text; where it was longer than was asked for, a line says what is left out."""
    duration_s: float
    stopped: str = ""
    """Which bound it went over, in words, when it was ended for that."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a program may use besides time. None and no folders: as much as there is."""

    output_bytes: int | None = None
    """What it may print."""
    folders: tuple[Path, ...] = ()
    """Folders that it writes, counted together."""
    disk_bytes: int = 0
    """What may lie in the folders."""


class ProgramRunner(Protocol):
    """Runs one program without a terminal and without input; nothing it started outlives it."""

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
    ) -> ProgramResult:
        """Run it to its end.

        Args:
            argv: The program and its arguments.
            cwd: Where it starts.
            environment: Its whole environment.
            timeout_s: It is ended after that many seconds.
            head_bytes: How much of the beginning of its output is kept.
            tail_bytes: How much of the end is kept.
            bounds: It is ended when it goes over one.

        Raises:
            Unavailable: There is no such program.
        """
        ...
