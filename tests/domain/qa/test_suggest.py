"""Where no detector is sure, the person gets choices instead of a guess (FLOW-7)."""

from __future__ import annotations

import pytest

from aegis_tui.domain.qa.detectors import detect_qa
from aegis_tui.domain.qa.detectors.suggest import MOST, suggest_qa


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"README.md": ""}, ()),
        ({"Makefile": "unit-tests:\n\t./x\nci:\n\t./y\nclean:\n\trm x\n"}, ("make unit-tests", "make ci")),
        (
            {"package.json": '{"scripts": {"test:unit": "x", "lint": "y", "dev": "z"}}'},
            ("npm run test:unit", "npm run lint"),
        ),
        (
            {"a/a_test.py": "import unittest", "b/test_b.py": "import unittest"},
            ("python3 -m pytest -q", "python3 -m unittest discover"),
        ),
        ({"pom.xml": "", "build.gradle": ""}, ("mvn -B -o test", "gradle --offline --no-daemon test")),
        ({"pyproject.toml": "[tool.mypy]\nstrict = true\n[tool.ruff.lint]\n"}, ("mypy .", "ruff check .")),
        ({"mix.exs": ""}, ("mix test",)),
    ],
)
def test_what_points_to_a_check_is_suggested_and_nothing_is_run(
    files: dict[str, str], expected: tuple[str, ...]
) -> None:
    def read(name: str) -> str:
        return files.get(name, "")

    assert detect_qa(files, read) == ()
    assert suggest_qa(files, read) == expected


def test_there_are_few_suggestions() -> None:
    scripts = ", ".join(f'"test:{name}": "x"' for name in "abcdefghijkl")
    assert len(suggest_qa(["package.json"], lambda _: f'{{"scripts": {{{scripts}}}}}')) == MOST
