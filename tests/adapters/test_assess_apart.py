"""Long output of a check is read by another process, which may fail or hang without harm (FLOW-7, SEC-3)."""

from __future__ import annotations

import asyncio

import pytest

from aegis_tui.adapters import apart
from aegis_tui.adapters.assess_apart import assess_apart
from aegis_tui.domain.qa.assess import assess, tools_of
from aegis_tui.domain.qa.outcome import Outcome, ResultFile

COMMAND = "pytest -q"
TOOLS = tools_of(COMMAND)
SUMMARY = "FAILED tests/test_a.py::test_a - assert 0\n1 failed, 2 passed in 0.1s\n"


def long(unit: str) -> Outcome:
    return Outcome(1, unit * (8 * 1024 * 1024 // len(unit)) + "\n" + SUMMARY, root="/w")


@pytest.mark.boundary(
    layer="limits",
    tried="8 MiB of empty lines from a test, which the hub then searches for results",
    refused="a separate process reads long output, and is killed when it takes too long",
)
def test_long_output_is_read_by_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read_here(*_: object) -> None:
        raise AssertionError("read in the hub")

    monkeypatch.setattr(asyncio, "to_thread", read_here)
    result = asyncio.run(assess_apart(COMMAND, long("\n"), TOOLS))
    assert (result.status, result.passed, result.failures) == ("failed", 2, ("tests/test_a.py::test_a",))


@pytest.mark.parametrize("size", [1, apart.LARGE])
def test_both_ways_read_the_same(size: int) -> None:
    files = (ResultFile("pytest", b"\xff" * size),)
    outcome = Outcome(1, "\udcff\x1b[31m" + SUMMARY, files, root="/w", duration_s=1.0)
    assert asyncio.run(assess_apart(COMMAND, outcome, TOOLS)) == assess(COMMAND, outcome, tools=TOOLS)


def test_what_cannot_be_read_in_time_shuts_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "ANSWER_S", 0.0)
    result = asyncio.run(assess_apart(COMMAND, long("a\n"), TOOLS))
    assert (result.status, result.exit_code) == ("not_run", 1)
    assert result.reason and result.remedy
