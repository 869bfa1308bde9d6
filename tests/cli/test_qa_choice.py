"""The person is asked once how a result is checked, by number or by a command of their own (FLOW-7)."""

from __future__ import annotations

import io

import pytest

from aegis_tui.cli.qa_choice import ask_for_checks
from aegis_tui.errors import AegisError, DesignRefused

REFUSED = DesignRefused("no QA command is known", suggestions=["make ci", "tox \x1b[31m"])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def asked(monkeypatch: pytest.MonkeyPatch, answer: str, error: AegisError = REFUSED) -> tuple[str, ...] | None:
    shown = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal(f"{answer}\n"))
    monkeypatch.setattr("sys.stderr", shown)
    found = ask_for_checks(error)
    assert "\x1b" not in shown.getvalue()
    return found


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("1", ("make ci",)),
        ("2,1", ("tox \x1b[31m", "make ci")),
        ("3", None),
        ("0", None),
        ("", None),
        ("cargo test && x", ("cargo test && x",)),
    ],
)
def test_an_answer_is_a_number_or_a_command(
    monkeypatch: pytest.MonkeyPatch, answer: str, chosen: tuple[str, ...] | None
) -> None:
    assert asked(monkeypatch, answer) == chosen


def test_nobody_is_asked_about_another_refusal_or_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, "1", DesignRefused("the design breaks a rule")) is None
    monkeypatch.setattr("sys.stdin", io.StringIO("1\n"))
    assert ask_for_checks(REFUSED) is None
