"""`rules check` agrees with itself: what is only a warning neither fails the command nor its report (FLOW-9)."""

from __future__ import annotations

import pytest

from tests.workspace import Served

RULE = '[[rule]]\nname = "no-print"\npattern = "print"\nmessage = "use the logger"\nseverity = "{}"\n'


@pytest.mark.parametrize(("severity", "code"), [("warning", 0), ("person", 3), ("error", 3)])
def test_the_exit_code_and_the_report_say_the_same(severity: str, code: int) -> None:
    place = Served()
    try:
        place.init({".agents/rules/own.toml": RULE.format(severity)})
        assert "HEAD has no parent to compare it with" in place.aegis("rules", "check").err
        (place.root / "a.py").write_text("print(1)\n")
        place.git("add", "-A")
        place.git("commit", "-qm", "feat: print")
        done = place.aegis("rules", "check", "--json")
        assert (done.code, done.json["ok"], len(done.json["findings"])) == (code, code == 0, 1)
    finally:
        place.close()
