"""What a merge rule found in a piece; in its own module, as events and state hold it."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.review.finding import Finding

Severity = Literal["error", "person", "warning", "off"]
"""`error`: the worker has to repair it. `person`: only a person may allow it. `warning`: it is only reported."""


class RuleFinding(FrozenModel):
    """One place in a piece that a merge rule is about. It never holds the text of that place, which may be a secret."""

    rule: str
    key: str
    """Names this finding to a person; the same as long as rule, path and content are the same."""
    file: str
    line: int | None = None
    """From 1; None if it is about the whole file."""
    msg: str
    remedy: str = ""
    """What the worker can do about it."""
    severity: Severity = "error"

    def as_finding(self) -> Finding:
        """Return it in the form in which workers and reports get all findings, with rule and remedy in its message.

        Its severity is `warning`, or `error` for all others; for `person` the message says that only a person may allow
        it.
        """
        words = f"{self.msg} (rule {self.rule})"
        if self.severity == "person":
            words += "; only a person may allow this"
        severity: Literal["warning", "error"] = "warning" if self.severity == "warning" else "error"
        return Finding(
            type="rule",
            file=self.file,
            line=self.line,
            msg=f"{words}; {self.remedy}" if self.remedy else words,
            severity=severity,
        )
