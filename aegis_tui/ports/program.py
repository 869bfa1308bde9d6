"""Programs that run to their end with their output collected: QA commands, set-up steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """How a program ended."""

    exit_code: int | None
    """None when it was ended because its time was up."""
    output: str
    """The end of stdout and stderr together, as text, at most the limit that was asked for."""
    duration_s: float


class ProgramRunner(Protocol):
    """Runs one program without a terminal and without input; nothing it started outlives it."""

    async def run(
        self, argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str], timeout_s: float
    ) -> ProgramResult:
        """Run it to its end.

        Raises:
            Unavailable: There is no such program.
        """
        ...
