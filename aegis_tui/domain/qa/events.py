"""The events of QA; `domain/run/events.py` has them in its union."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.model import EventData
from aegis_tui.domain.qa.check import QaCheck


class QaBaseChecked(EventData):
    """QA ran on the base while the workers work: told where a tree like it would find the gate shut (FLOW-7).

    Told again only where that has changed; then `ok` says that the base is no hindrance any more.
    """

    type: Literal["qa:base-checked"] = "qa:base-checked"
    run: str
    oid: str
    """The commit that the run started from."""
    ok: bool
    checks: tuple[QaCheck, ...]
    """As FINAL-QA would judge the base itself."""
    reason: str = ""
    """Which checks would shut the gate and why, in words; empty when `ok`."""
    command: str = ""
    """What accepts it, or would mend it."""


class QaFinished(EventData):
    """QA ran its commands on the composed tree; each is compared with the base, and only all of them open the gate."""

    type: Literal["qa:finished"] = "qa:finished"
    run: str
    round: int
    tree: str
    oid: str
    ok: bool
    checks: tuple[QaCheck, ...]
    finished_unix: int = 0
    blamed: tuple[str, ...] = ()


class QaAccepted(EventData):
    """A person takes the failures of the base, which cannot be compared, as they are."""

    type: Literal["qa:accepted"] = "qa:accepted"
    run: str
    by: str


QaEvent = QaBaseChecked | QaFinished | QaAccepted
