from __future__ import annotations

import pytest

from aegis_tui.domain.qa.result import QaResult, blame, detect_qa, new_failures, read_result
from aegis_tui.domain.run import Piece, Run
from aegis_tui.domain.run_event import RunFacts, RunOptions
from aegis_tui.domain.run_rules import parse_design

PYTEST = """
FAILED tests/test_cart.py::test_total - assert 3 == 4
ERROR tests/test_io.py
=========== 1 failed, 7 passed, 1 error in 0.31s ===========
"""
UNITTEST = """
======================================================================
FAIL: test_total (tests.test_cart.CartTest.test_total)
----------------------------------------------------------------------
  File "/scratch/run1/src/shop/cart.py", line 3, in total
Ran 9 tests in 0.012s

FAILED (failures=1, errors=1)
"""
GO = "--- FAIL: TestTotal (0.00s)\n    --- FAIL: TestTotal/empty (0.00s)\nFAIL\n"
CARGO = "test cart::total ... FAILED\ntest cart::empty ... ok\n"
TAP = "ok 1 - adds\nnot ok 2 - totals # time=1ms\n# pass 1\n# fail 1\n"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            PYTEST,
            QaResult(ok=False, passed=7, failed=1, failures=("tests/test_cart.py::test_total", "tests/test_io.py")),
        ),
        (
            UNITTEST,
            QaResult(ok=False, passed=7, failed=2, failures=("test_total (tests.test_cart.CartTest.test_total)",)),
        ),
        (GO, QaResult(ok=False, failed=2, failures=("TestTotal", "TestTotal/empty"))),
        (CARGO, QaResult(ok=False, failed=1, failures=("cart::total",))),
        (TAP, QaResult(ok=False, passed=1, failed=1, failures=("totals",))),
    ],
)
def test_counts_and_names_are_read_from_the_output_of_each_runner(output: str, expected: QaResult) -> None:
    assert read_result(1, output) == expected


def test_a_command_that_timed_out_has_failed() -> None:
    assert read_result(None, "3 passed").ok is False


def test_what_failed_before_is_not_blamed_on_the_change() -> None:
    before = QaResult(ok=False, failures=("a", "b"))
    assert new_failures("t", QaResult(ok=False, failures=("a", "b")), before) == ()
    assert new_failures("t", QaResult(ok=False, failures=("a", "c")), before) == ("c",)
    assert new_failures("t", QaResult(ok=False), QaResult(ok=False)) == ()


def test_a_nameless_failure_that_the_base_does_not_have_stands_for_its_command() -> None:
    assert new_failures("make check", QaResult(ok=False), QaResult(ok=True)) == ("make check",)
    assert new_failures("make check", QaResult(ok=True), None) == ()


@pytest.mark.parametrize(
    ("files", "texts", "expected"),
    [
        (["tests/test_a.py"], {}, ("python3 -m unittest discover",)),
        (
            ["tests/test_a.py", "pyproject.toml"],
            {"pyproject.toml": "[tool.pytest.ini_options]"},
            ("python3 -m pytest -q",),
        ),
        (["tests/test_a.py", "tests/conftest.py"], {}, ("python3 -m pytest -q",)),
        (["tests/test_a.py"], {"tests/test_a.py": "import pytest"}, ("python3 -m pytest -q",)),
        (["package.json"], {"package.json": '{"scripts": {"test": "node --test"}}'}, ("npm test --silent",)),
        (["package.json"], {"package.json": "{}"}, ()),
        (["go.mod"], {}, ("go vet ./...", "go test ./...")),
        (["Cargo.toml"], {}, ("cargo test",)),
        (["README.md"], {}, ()),
    ],
)
def test_qa_commands_are_found_from_the_build_files(
    files: list[str], texts: dict[str, str], expected: tuple[str, ...]
) -> None:
    assert detect_qa(files, lambda name: texts.get(name, "")) == expected


def _run() -> Run:
    design = parse_design(
        {
            "goal": "g",
            "features": [
                {"id": "cart", "title": "c", "brief": "b", "partition": ["src/shop/cart.py", "tests/test_cart.py"]},
                {"id": "검색", "title": "s", "brief": "b", "partition": ["src/shop/search/**"]} | {"id": "search"},
            ],
        }
    )
    run = Run(
        run="run1",
        goal="g",
        options=RunOptions(),
        facts=RunFacts(workspace="k", base_oid="0" * 40, base_branch=None),
        working_oid="0" * 40,
        design=design,
    )
    run.pieces = {name: Piece(name=name, spec_id=name) for name in ("cart", "search")}
    return run


def test_a_failure_is_blamed_on_the_piece_whose_files_it_names() -> None:
    changed = {"cart": ("src/shop/cart.py",), "search": ("src/shop/search/한글.py",)}
    assert blame(_run(), [UNITTEST], changed) == ["cart"]
    assert blame(_run(), ["src/shop/search/한글.py:3: TypeError"], changed) == ["search"]
    assert blame(_run(), ["somewhere else"], changed) == []
