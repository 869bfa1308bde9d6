"""The commands of QA; `domain/command.py` has them in its unions."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.model import CommandData
from aegis_tui.domain.qa.check import QaCheck


class QaAccept(CommandData):
    """Take the failures of the base, where they cannot be compared, as they are."""

    type: Literal["qa:accept"] = "qa:accept"
    run: str | None = None


class QaMarkBaseChecked(CommandData):
    """What QA gave on the base, judged as if it were the result."""

    type: Literal["qa:mark-base-checked"] = "qa:mark-base-checked"
    run: str
    oid: str
    checks: tuple[QaCheck, ...]


class QaMarkFinished(CommandData):
    """What QA gave on the merged tree."""

    type: Literal["qa:mark-finished"] = "qa:mark-finished"
    run: str
    round: int
    tree: str
    oid: str
    checks: tuple[QaCheck, ...]
    finished_unix: int = 0
    blamed: tuple[str, ...] = ()


QaClientCommand = QaAccept
QaHubCommand = QaMarkBaseChecked | QaMarkFinished
