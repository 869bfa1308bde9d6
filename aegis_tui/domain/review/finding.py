"""Findings and judged criteria of a review; in their own module, as `run.events` would import the whole design."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from aegis_tui.domain.model import FrozenModel


class Finding(FrozenModel):
    """One remark of a reviewer, or one rule that a piece breaks."""

    type: str = "review"
    file: str | None = None
    line: int | None = None
    """The first line that it is about, 1-based."""
    msg: str
    severity: Literal["info", "warning", "error"] = "error"
    end_line: int | None = None
    """The last line that it is about, included; None if it is `line` alone."""
    rule: str = ""
    """The point of the checklist that is not met, such as `injection`; empty if the reviewer names none."""
    suggestion: str = ""
    """What to write instead; empty if the reviewer suggests nothing."""
    confidence: float | None = Field(None, ge=0, le=1)
    """How sure the reviewer is, from 0 to 1; None if it does not say."""

    @property
    def lines(self) -> tuple[int, int] | None:
        """First and last line that it is about, 1-based, both included; None if it names no line."""
        return None if self.line is None else (self.line, max(self.line, self.end_line or self.line))


class Criterion(FrozenModel):
    """One acceptance criterion and how the reviewer judged it (REV-4)."""

    id: str
    passed: bool = Field(alias="pass")
    evidence: str = ""


def checked_findings(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return a reviewer's findings unchanged if each says clearly what it is about (FLOW-11).

    Events hold findings of hub and older versions too, so these rules are for what a reviewer sends now.

    Raises:
        ValueError: Some do not; the message names every problem, so that the reviewer can correct all at once.
    """
    problems = [f"findings.{number}.{words}" for number, item in enumerate(findings) for words in _problems(item)]
    if problems:
        raise ValueError("; ".join(problems))
    return findings


def _problems(item: Finding) -> Iterable[str]:
    if not item.msg.strip():
        yield "msg: is empty"
    if item.file is not None and not _is_inside(item.file):
        yield "file: must be a path relative to the repository's root"
    if item.line is not None and item.line < 1:
        yield "line: lines are counted from 1"
    if item.line is not None and item.file is None:
        yield "line: needs a file"
    if item.end_line is not None and (item.line is None or item.end_line < item.line):
        yield "end_line: needs a line, and cannot be before it"


def _is_inside(path: str) -> bool:
    return bool(path) and not path.startswith("/") and ".." not in path.split("/") and "\0" not in path
