"""A machine for runs in tests: no sandbox, programs whose results the test chooses, nothing installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aegis_tui.domain.qa.obstacle import Obstacle
from aegis_tui.domain.qa.outcome import ResultFile
from aegis_tui.domain.qa.readers.base import Wanted
from aegis_tui.domain.rule.judge import SecretScan
from aegis_tui.ports.gateway_plan import GatewayPlan
from aegis_tui.ports.program import TAIL_BYTES, Bounds, ProgramResult
from aegis_tui.ports.sandbox import SandboxLevel, SandboxMode, SandboxReport, SandboxSpec
from aegis_tui.ports.secret_scanner import ScannedText
from aegis_tui.ports.surroundings import NO_SOURCE, EnvironmentSource, Surroundings

Say = Callable[[str], ProgramResult]
"""Takes a command line for bash; returns its result."""


class OpenSandbox:
    """A `Sandbox` of a machine that cannot confine programs."""

    async def probe(self) -> SandboxReport:
        """Return a report of the level `none`: nothing confines programs. Nothing is tried."""
        return SandboxReport(SandboxLevel.NONE, dict.fromkeys(("filesystem", "network", "processes"), "none"))

    def choose(self, mode: SandboxMode, report: SandboxReport) -> SandboxLevel:
        """Return the level of the report, for every mode; `strict` is not refused."""
        return report.level

    def wrap(self, argv: Sequence[str], spec: SandboxSpec, level: SandboxLevel) -> list[str]:
        """Return `argv` as a list, unchanged for every spec and level; nothing is refused."""
        return list(argv)


class SaidPrograms:
    """A `ProgramRunner` that starts nothing and returns prepared results.

    Args:
        say: Returns the result for the last argument of each command.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self.ran: list[str] = []

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
        """Record the last argument of `argv` in `ran`, and return the prepared result for it; all else is ignored."""
        self.ran.append(argv[-1])
        return self._say(argv[-1])


class BareEnvironment:
    """A `QaEnvironment` in which nothing is installed."""

    async def prepare(
        self,
        worktree: Path,
        home: Path,
        commands: Sequence[str],
        *,
        confined: bool,
        committed: bool = False,
        source: EnvironmentSource = NO_SOURCE,
    ) -> Surroundings:
        """Do nothing, and return surroundings with nothing in them: no variables, paths, links or obstacles."""
        return Surroundings()

    async def inspect(self, worktree: Path, home: Path, command: str) -> Sequence[Obstacle]:
        """Return no obstacle."""
        return ()

    async def reads_tree(self, source: EnvironmentSource = NO_SOURCE) -> bool:
        """Return False: `prepare` reads nothing."""
        return False

    async def stamp(self, source: EnvironmentSource = NO_SOURCE) -> str:
        """Return the empty text, always."""
        return ""


class NoSecrets:
    """A `SecretScanner` that finds nothing."""

    async def prepare(self) -> None:
        """Do nothing: a scan takes no time."""

    async def scan(self, texts: Sequence[ScannedText]) -> SecretScan:
        """Return a scan by the scanner `none`, without findings; the texts are not read."""
        return SecretScan("none")


class NoResultFiles:
    """A `ResultFiles` for tools that write no result files."""

    def read_text(self, root: Path, name: str) -> str:
        """Return the empty text; nothing is read."""
        return ""

    async def collect(self, wanted: Sequence[Wanted], *, root: Path, since_ns: int) -> tuple[ResultFile, ...]:
        """Return nothing, and read nothing."""
        return ()


class MemoryGateway:
    """A model gateway that only records what it has to serve, and how often `serve` was called."""

    def __init__(self) -> None:
        self.plan: GatewayPlan | None = None
        self.times = 0
        self.problem: str | None = None

    @property
    def served(self) -> tuple[Any, ...] | None:
        """Upstream, model and callers of the plan; None before the first, and after the end."""
        return None if self.plan is None else (self.plan.upstream, self.plan.model, dict(self.plan.instances))

    async def serve(self, plan: GatewayPlan) -> None:
        """Record the plan in `plan`, and count the call in `times`; nothing is started."""
        self.plan = plan
        self.times += 1

    def report(self, problem: str | None) -> None:
        """Record the problem, or None for no problem, in `problem`."""
        self.problem = problem

    async def close(self) -> None:
        """Forget the plan; `times` and `problem` stay."""
        self.plan = None
