"""The outcome of a command (how it ended, output, result files), which the readers read. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from aegis_tui.domain.qa.obstacle import Obstacle


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A result file of a test tool. It is hostile input: the code under test may have written it."""

    tool: str
    """The tool whose reader reads it."""
    content: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one command ended on one tree."""

    exit_code: int | None
    """None when it was ended early, as for a time limit; the negative signal number when a signal ended it."""
    output: str
    """Stdout and stderr together; the middle may be left out."""
    files: tuple[ResultFile, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    root: str = ""
    """The path of the tree; removed from the names of tests and files, so that two trees can be compared."""
    timeout_s: float = 0.0
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What one test tool reported in an outcome. Counts are None when it reported none."""

    tool: str
    passed: int | None = None
    failed: int | None = None
    failures: tuple[str, ...] = ()
    tests: frozenset[str] | None = None
    """Names of all tests that ran; None when the tool names only failures."""
    unloaded: tuple[str, ...] = ()
    """Modules, files or crates that could not be imported, collected or compiled."""
    stopped: str = ""
    """Why the tool stopped early, in words; empty if it did not."""
    remedy: str = ""
    is_machine_readable: bool = False
    """Whether it comes from a format for programs; then failures count even if the exit code is 0."""

    is_from_file: bool = False
    """Whether it comes from result files, so that it is whole even if the output is not."""

    ran: int | None = None
    """How many tests ran, if that is not the sum of passed and failed, because subtests fail one by one."""

    @property
    def executed(self) -> int | None:
        """How many tests ran: `ran`, or else passed and failed together; None when not known."""
        if self.ran is not None:
            return self.ran
        return None if self.passed is None else self.passed + (self.failed or 0)
