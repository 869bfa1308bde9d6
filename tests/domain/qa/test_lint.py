"""Linters and type checkers are read complaint by complaint, and only where nothing else runs (FLOW-7)."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_tui.domain.qa.assess import assess, tools_of
from aegis_tui.domain.qa.check import CheckResult
from aegis_tui.domain.qa.detectors.extra import detect_extra
from aegis_tui.domain.qa.outcome import Outcome
from aegis_tui.domain.qa.readers.base import CommandPlace
from aegis_tui.domain.qa.verdict import compare

RECORDED = Path(__file__).with_name("recorded")
RUFF = ("a.py: F401 `os` imported but unused", "b.py: F821 Undefined name `undefined_name`")
COMMANDS = {
    "ruff": "ruff check .",
    "mypy": "mypy",
    "flake8": "flake8",
    "eslint": "npx eslint .",
    "tsc": "npx tsc --noEmit",
}


def read(name: str, exit_code: int) -> CheckResult:
    command = COMMANDS[name.partition("-")[0]]
    text = (RECORDED / f"{name}.txt").read_text("utf-8")
    return assess(command, Outcome(exit_code, text, root="/scratch/run1-merged"), tools=tools_of(command))


@pytest.mark.parametrize(
    ("name", "exit_code", "failures"),
    [
        ("ruff-failed", 1, RUFF),
        ("ruff-concise", 1, RUFF),
        ("mypy-failed", 1, ('a.py: Incompatible return value type (got "int", expected "str") [return-value]',)),
        ("flake8-failed", 1, ("a.py: F401 'os' imported but unused", "b.py: F821 undefined name 'undefined_name'")),
        (
            "eslint-failed",
            1,
            ("a.js: no-unused-vars 'x' is assigned a value but never used", "a.js: no-undef 'foo' is not defined"),
        ),
        ("tsc-failed", 2, ("t.ts: TS2322: Type 'string' is not assignable to type 'number'.",)),
        ("tsc-pretty", 2, ("t.ts: TS2322: Type 'string' is not assignable to type 'number'.",)),
    ],
)
def test_a_complaint_is_named_by_file_and_rule(name: str, exit_code: int, failures: tuple[str, ...]) -> None:
    result = read(name, exit_code)
    assert (result.status, result.failures, result.failed) == ("failed", failures, len(failures))


@pytest.mark.parametrize("name", ["ruff-passed", "mypy-passed"])
def test_without_a_complaint_it_passes(name: str) -> None:
    assert read(name, 0).status == "passed"
    assert read("tsc-failed", 0).status == "passed", "the exit code decides"


@pytest.mark.parametrize("name", ["ruff-usage", "mypy-fatal", "eslint-fatal"])
def test_one_that_could_not_look_at_everything_did_not_run(name: str) -> None:
    result = read(name, 2)
    assert result.status == "not_run" and "stopped with exit code 2" in result.reason


def test_only_new_complaints_close_the_gate_and_a_moved_line_is_none() -> None:
    base, moved = read("ruff-failed", 1), read("ruff-concise", 1)
    assert compare(1, "ruff check .", moved, base).ok
    more = moved.model_copy(update={"failures": (*moved.failures, "c.py: F401 x"), "failed": 3})
    check = compare(1, "ruff check .", more, base)
    assert not check.ok and check.new_failures == ("c.py: F401 x",)


@pytest.mark.parametrize(
    "command", ["ruff check . && pytest", "make lint", "ruff check . && ./other", "echo a.py:1: E1 x"]
)
def test_a_command_that_starts_anything_else_is_not_read_as_a_linter(command: str) -> None:
    assert not any(reader.tool == "ruff" for reader in tools_of(command))


def test_a_package_script_is_recognised() -> None:
    place = CommandPlace("/r", lambda name: '{"scripts": {"lint": "eslint src"}}' if name == "package.json" else "")
    assert [reader.tool for reader in tools_of("npm run lint --silent", place)] == ["eslint"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"pyproject.toml": "[tool.ruff]\n[tool.mypy]\nfiles = ['src']\n"}, ("ruff check .", "mypy")),
        ({"pyproject.toml": "[tool.ruff.lint]\n[tool.mypy]\nstrict = true\n"}, ("ruff check .",)),
        ({"setup.cfg": "[flake8]\n[mypy]\nfiles = src\n", "pyrightconfig.json": ""}, ("flake8", "mypy", "pyright")),
        ({".ruff.toml": "", ".flake8": ""}, ("ruff check .", "flake8")),
        (
            {"package.json": '{"scripts": {"lint": "eslint .", "typecheck": "tsc"}}'},
            ("npm run typecheck --silent", "npm run lint --silent"),
        ),
        ({"package.json": '{"scripts": {"lint": "eslint --fix ."}}'}, ()),
        ({"package.json": '{"scripts": {"lint": "eslint ."}}', "yarn.lock": ""}, ("yarn run lint",)),
        ({"README.md": ""}, ()),
    ],
)
def test_what_a_project_configures_runs_beside_its_tests(files: dict[str, str], expected: tuple[str, ...]) -> None:
    assert detect_extra(files, lambda name: files.get(name, "")) == expected
