"""QA as JSON (FLOW-7)."""

from __future__ import annotations

from typing import TypedDict


class BaseCheckFields(TypedDict):
    """The result of the same command on the base, without names."""

    status: str
    executed: int | None
    passed: int | None
    failed: int | None
    reason: str


class CheckFields(TypedDict):
    """The result of one QA command on the merged tree, compared with the base."""

    check: str
    command: str
    status: str
    ok: bool
    executed: int | None
    passed: int | None
    failed: int | None
    new_failures: list[str]
    reason: str | None
    remedy: str
    note: str
    is_acceptable: bool
    accepted_by: str | None
    flaky: list[str]
    base: BaseCheckFields | None
    duration_s: float
    output_tail: str


class QaFields(TypedDict):
    """QA of the merged tree."""

    run: str
    round: int
    tree: str
    oid: str
    ok: bool
    checks: list[CheckFields]
    finished_unix: int
    blamed: list[str]
    message: str
    """The message that the person's commit hooks accept for the result; empty for the usual one."""


class BaseQaFields(TypedDict):
    """QA of the base, before FINAL-QA: whether the gate would stay closed for a result that fails as the base does."""

    run: str
    oid: str
    ok: bool
    checks: list[CheckFields]
    reason: str
    command: str
