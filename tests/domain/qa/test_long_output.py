"""Long output, whatever is in it, is read once and not once for each of them.

What reads it once for each character takes longer than the time limit of a test; nothing here measures time.
"""

from __future__ import annotations

import pytest

from aegis_tui.application.bundle import Scrubber
from aegis_tui.domain.qa.assess import assess
from aegis_tui.domain.qa.blame import blame
from aegis_tui.domain.qa.detectors import detect_qa
from aegis_tui.domain.qa.outcome import Outcome
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.domain.tool.reading import _object_in

LONG = 60_000
UNITS = ("1", "\n", " ", "a", "a.", "x-", "/", "=", "\x1b[", "_", "Tests: ", "ERR_PNPM_NO_SCRIPT", "`", "1 passed, ")
BEFORE = (
    "",
    "Tests: ",
    " Tests ",
    "FAILED ",
    "ERROR ",
    "--- FAIL: ",
    "ok\t",
    "# tests ",
    "1..",
    "Ran ",
    "make: ",
    "sh: ",
)


@pytest.mark.parametrize("unit", UNITS)
def test_output_of_one_thing_over_and_over_is_read(unit: str) -> None:
    text = unit * (LONG // len(unit))
    assess("run-the-tests", Outcome(1, "".join(f"{before}{text}\0\n" for before in BEFORE)))


@pytest.mark.parametrize("unit", UNITS)
def test_other_readers_of_long_texts_read_them_once(unit: str) -> None:
    text = unit * (LONG // len(unit))
    assert blame(PartitionTable(), [text], {"cart": ("src/cart.py",)}) == []
    detect_qa(["test_a.py"], lambda path: text if path.endswith(".py") else "")
    Scrubber(names={"mallory": "<user>"}, paths={}).text(text)
    _object_in(f"```{text}", 1)


@pytest.mark.parametrize(
    "line",
    [
        "{0} passed in 1s",
        "Tests: {0} passed, {0} total",
        " Tests  {0} passed ({0})",
        "test result: ok. {0} passed; {0} failed;",
        "Ran {0} tests in 1s\n\nOK",
        "1..{0}\nok 1",
        "# tests {0}",
        "{0} tests completed",
        "  {0} passing",
    ],
)
def test_a_number_that_no_test_run_has_is_no_number_of_tests(line: str) -> None:
    found = assess("run-the-tests", Outcome(0, line.format("7" * 5_000)))
    assert len(str(found.passed or 0)) < 10


def test_a_build_error_of_many_colons_is_read_once() -> None:
    assess("mvn test", Outcome(1, "[ERROR] Failed to execute goal " + ": " * 500_000))


def test_go_packages_that_failed_are_told_from_those_that_did_not_build() -> None:
    line = '{{"Action":"fail","Package":"p{0}"{1}}}'
    built = [line.format(number, f',"Test":"Test{number}"') for number in range(15_000)]
    ended = [line.format(number, "") for number in range(30_000)]
    assert len(assess("go test ./...", Outcome(1, "\n".join([*built, *ended]))).unloaded) == 15_000
