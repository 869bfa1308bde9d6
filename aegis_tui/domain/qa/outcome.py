"""How a command ended and what it left behind: what the readers read. Pure values."""

from __future__ import annotations

from dataclasses import dataclass

from aegis_tui.domain.qa.obstacle import Obstacle


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A file of results that a tool wrote. Hostile input: the code under test may have written it."""

    tool: str
    """Whose reader takes it."""
    content: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """One command on one tree."""

    exit_code: int | None
    """None when it was ended because its time was up; negative for a signal."""
    output: str
    """Stdout and stderr together; the middle may be left out."""
    files: tuple[ResultFile, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    root: str = ""
    """Where the tree was: taken off the names of tests and files, so that two trees can be compared."""
    timeout_s: float = 0.0
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What one test tool says in an outcome. Numbers are None where it says none."""

    tool: str
    passed: int | None = None
    failed: int | None = None
    failures: tuple[str, ...] = ()
    tests: frozenset[str] | None = None
    """Identities of all tests that ran."""
    unloaded: tuple[str, ...] = ()
    """What could not be imported, collected or compiled."""
    stopped: str = ""
    """Why the tool gave up before its end, in words."""
    remedy: str = ""
    is_machine_readable: bool = False
    """From a format for programs: failures count even where the exit code is 0."""

    ran: int | None = None
    """Tests that ran, where that is another number than those that passed and failed: subtests fail one by one."""

    @property
    def executed(self) -> int | None:
        """Tests that ran."""
        if self.ran is not None:
            return self.ran
        return None if self.passed is None else self.passed + (self.failed or 0)
