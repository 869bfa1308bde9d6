"""The events of QA; the union in `domain/run/events.py` includes them."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.model import EventData
from aegis_tui.domain.qa.check import QaCheck


class QaBaseChecked(EventData):
    """QA of the base, before FINAL-QA: the gate would stay closed for a result that fails as the base does (FLOW-7).

    Another event follows only when this changes; its `ok` says that the base would no longer keep the gate closed.
    """

    type: Literal["qa:base-checked"] = "qa:base-checked"
    run: str
    oid: str
    """The commit that the run started from."""
    ok: bool
    checks: tuple[QaCheck, ...]
    """The checks of the base, judged as FINAL-QA would judge them."""
    reason: str = ""
    """Which checks would close the gate and why, in words; empty when `ok`."""
    command: str = ""
    """The command that accepts the base, or else what would help."""


class QaFinished(EventData):
    """QA ran its commands on the merged tree. Each is compared with the base; the gate opens only if all are `ok`."""

    type: Literal["qa:finished"] = "qa:finished"
    run: str
    round: int
    tree: str
    oid: str
    ok: bool
    checks: tuple[QaCheck, ...]
    finished_unix: int = 0
    blamed: tuple[str, ...] = ()
    message: str = ""
    """The message that the person's commit hooks accept for the result; empty for the usual one."""


class QaAccepted(EventData):
    """A person accepted failures of the base that cannot be compared."""

    type: Literal["qa:accepted"] = "qa:accepted"
    run: str
    by: str


QaEvent = QaBaseChecked | QaFinished | QaAccepted
