from __future__ import annotations

import pytest

from aegis_tui.domain.qa.assess import assess, tools_of
from aegis_tui.domain.qa.obstacle import Obstacle
from aegis_tui.domain.qa.outcome import Outcome

MAKE_127 = "make: *** [Makefile:2: test] Error 127\n"
NO_VITEST = "bash: line 1: ./node_modules/.bin/vitest: No such file or directory"


@pytest.mark.parametrize(
    ("command", "exit_code", "output", "words", "remedy"),
    [
        ("./node_modules/.bin/vitest run", 127, NO_VITEST, "vitest is missing", "npm ci"),
        ("go test ./...", 127, "bash: line 1: go: command not found\n", "go is missing", "install Go"),
        ("nowhere", 127, "", "nowhere is missing", "install nowhere"),
        ("/bin/sh -c nowhere", 127, "/bin/sh: 1: nowhere: not found\n", "nowhere is missing", "install nowhere"),
        ("./run", 126, "bash: line 1: ./run: Permission denied\n", "run cannot be executed", "chmod +x"),
        ("npm test --silent", 1, "sh: 1: jest: not found\n", "jest is missing", "npm ci"),
        ("npm test", 1, 'npm error Missing script: "test"\n', "package.json has no script test", "add it"),
        ("npx jest", 1, "npm error canceled due to missing packages\n", "not in node_modules", "npm ci"),
        ("make test", 2, "make: jest: No such file or directory\n" + MAKE_127, "jest is missing", "npm ci"),
        ("make test", 2, "/bin/sh: 1: pytest: not found\n" + MAKE_127, "pytest is missing", "pip install pytest"),
        ("python3 -m pytest", 1, "/usr/bin/python3: No module named pytest\n", "module pytest", "pip install pytest"),
        (
            "python3 -m pytest",
            1,
            "/w/.venv/bin/python3: No module named pytest\n",
            "pytest",
            ".venv/bin/python3 -m pip",
        ),
        (
            "node check.js",
            1,
            "node:internal\nError: Cannot find module 'left-pad'\n",
            "node cannot find the module left-pad",
            "npm ci",
        ),
        ("true", 1, "bwrap: Can't bind mount /oldroot/x on /newroot/x\n", "the sandbox did not start", ""),
        ("./check", -9, "one\ntwo\n", "killed by SIGKILL", ""),
        ("./check", 137, "one\ntwo\n", "killed by SIGKILL (out of memory?); its last lines: one / two", ""),
        ("./check", 139, "", "killed by SIGSEGV", ""),
        ("make check", 2, "make: *** [Makefile:2: check] Error 139\n", "killed by SIGSEGV", ""),
        ("timeout 2 pytest", 124, "..", "its own time limit ended it; its last lines: ..", "longer"),
        ("make check", 2, "make: *** [Makefile:2: check] Error 124\n", "its own time limit", "longer"),
        ("cd api && pytest", 1, "bash: line 1: cd: api: No such file or directory\n", "no folder api", "the path"),
    ],
)
def test_what_cannot_run_says_what_is_missing_and_what_would_help(
    command: str, exit_code: int, output: str, words: str, remedy: str
) -> None:
    result = assess(command, Outcome(exit_code, output))
    assert result.status == "not_run"
    assert words in result.reason
    assert remedy in result.remedy


def test_a_command_that_hangs_says_so_with_its_last_lines() -> None:
    output = "collecting\nconnecting to the database\n" + " \n"
    result = assess("pytest", Outcome(None, output, timeout_s=90))
    assert (result.status, result.reason) == (
        "not_run",
        "it was ended after 90 s; its last lines: collecting / connecting to the database",
    )
    assert "qa.timeout_s" in result.remedy
    assert "it printed nothing" in assess("pytest", Outcome(None, "", timeout_s=90)).reason


def test_a_time_out_is_none_of_the_failures_that_it_printed() -> None:
    output = "FAILED tests/test_a.py::test_x - assert\n1 failed, 3 passed in 0.1s\n"
    assert assess("pytest", Outcome(None, output, timeout_s=1)).status == "not_run"


def test_an_obstacle_from_outside_decides_whatever_the_exit_code() -> None:
    obstacle = Obstacle(kind="wrong_tree", reason="shop is imported from the checkout", remedy="pip install -e .")
    result = assess("pytest", Outcome(0, "3 passed in 0.1s", obstacles=(obstacle,)))
    assert (result.status, result.reason, result.remedy) == ("not_run", obstacle.reason, obstacle.remedy)


@pytest.mark.parametrize("command", ["ruff check .", "test -f x", "python3 -m compileall -q .", "./check"])
def test_a_command_that_is_no_test_tool_passes_by_its_exit_code(command: str) -> None:
    assert assess(command, Outcome(0, ""), tools=tools_of(command)).status == "passed"
    failed = assess(command, Outcome(1, "x.py:1:1: E501\n"), tools=tools_of(command))
    assert (failed.status, failed.executed, failed.failed) == ("failed", None, None)


@pytest.mark.parametrize("command", ["python3 -m pytest", "python3 -m unittest", "go test ./...", "npx jest", "ctest"])
def test_a_test_tool_that_shows_no_test_is_empty_even_if_it_ends_well(command: str) -> None:
    result = assess(command, Outcome(0, "done\n"), tools=tools_of(command))
    assert result.status == "empty"
    assert result.reason


def test_words_about_missing_programs_in_the_output_of_tests_that_ran_are_not_believed() -> None:
    output = "sh: 1: jest: not found\nFAILED tests/test_a.py::test_x - assert\n1 failed, 3 passed in 0.1s\n"
    result = assess("make test", Outcome(2, output))
    assert (result.status, result.failures) == ("failed", ("tests/test_a.py::test_x",))


def test_a_failure_beside_tests_that_all_passed_has_no_count() -> None:
    result = assess("pytest --cov-fail-under=90", Outcome(1, "3 passed in 0.1s\n"))
    assert (result.status, result.executed, result.failed, result.failures) == ("failed", 3, None, ())
