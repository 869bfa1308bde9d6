"""The commands of QA; the unions in `domain/command.py` include them."""

from __future__ import annotations

from typing import Literal

from aegis_tui.domain.model import CommandData
from aegis_tui.domain.qa.check import QaCheck


class QaAccept(CommandData):
    """Accept failures of the base that cannot be compared, as a person."""

    type: Literal["qa:accept"] = "qa:accept"
    run: str | None = None


class QaMarkBaseChecked(CommandData):
    """Report the result of QA on the base, judged as FINAL-QA would judge it."""

    type: Literal["qa:mark-base-checked"] = "qa:mark-base-checked"
    run: str
    oid: str
    checks: tuple[QaCheck, ...]


class QaMarkFinished(CommandData):
    """Report the result of QA on the merged tree."""

    type: Literal["qa:mark-finished"] = "qa:mark-finished"
    run: str
    round: int
    tree: str
    oid: str
    checks: tuple[QaCheck, ...]
    finished_unix: int = 0
    blamed: tuple[str, ...] = ()
    message: str = ""
    """The message for the commit of the result; empty for the usual one."""


QaClientCommand = QaAccept
QaHubCommand = QaMarkBaseChecked | QaMarkFinished
