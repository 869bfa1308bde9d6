"""What `aegis-tui rules` prints with `--json`, as in `output` (FLOW-9)."""

from __future__ import annotations

from typing import TypedDict

from aegis_tui.domain.run.report_model import RuleFindingReport
from aegis_tui.domain.wire.piece import RuleFindingFields


class RuleRow(TypedDict):
    """One rule in effect."""

    name: str
    kind: str
    severity: str
    origin: str
    """`team` or `program`."""
    message: str


class RulesOutput(TypedDict):
    """`rules list`."""

    rules: list[RuleRow]


class ExamplesOutput(TypedDict):
    """`rules test`."""

    rules: int
    examples: int
    wrong: list[str]
    ok: bool


class RuleCheckOutput(TypedDict):
    """`rules check`."""

    ok: bool
    findings: list[RuleFindingFields]
    scanner: str
    """Which secret scanner ran; empty if there was nothing to look at."""


class RuleFindingsOutput(TypedDict):
    """`rules findings`."""

    scanners: list[str]
    findings: list[RuleFindingReport]


class AllowedOutput(TypedDict):
    """`rules allow`."""

    run: str
    keys: list[str]
    """The findings that are allowed now."""
