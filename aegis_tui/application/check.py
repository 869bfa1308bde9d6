"""The result of one check of this machine, as `doctor` and the dialog of a first session show it (CLI-2)."""

from __future__ import annotations

from dataclasses import dataclass

from aegis_tui.domain.wire.machine import CheckResultFields


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check of the machine."""

    name: str
    ok: bool
    observed: str
    fix: str = ""
    """What the person can do if the check fails."""
    essential: bool = False
    """Whether no run can start if the check fails."""
    is_extra: bool = False
    """Whether nothing is worse if the check fails: one of many programs of which none is needed."""

    def to_wire(self) -> CheckResultFields:
        """Return the check in the form of contract 9, and whether it is essential; `fix` is empty if it passed."""
        fix = "" if self.ok else self.fix
        return {"name": self.name, "ok": self.ok, "found": self.observed, "fix": fix, "essential": self.essential}


def missing(checks: list[Check]) -> list[Check]:
    """Return the failed checks that prevent a run from starting, in the given order; empty if one can start."""
    return [check for check in checks if check.essential and not check.ok]
