"""Files of merge rules: what is read, what is refused, what a team may change (FLOW-9)."""

from __future__ import annotations

import pytest

from aegis_tui.adapters.rule_files import shipped_rules
from aegis_tui.domain.rule.model import MergeRule, wrong_examples
from aegis_tui.domain.rule.parse import combined, parse_rules
from aegis_tui.errors import UsageError

RULE = "[[rule]]\nname = 'x'\npattern = 'y'\nmessage = 'z'\n"


@pytest.mark.parametrize("rule", shipped_rules(), ids=lambda rule: rule.name)
def test_a_shipped_rule_finds_its_hits_and_not_its_misses(rule: MergeRule) -> None:
    assert wrong_examples(rule) == []
    if rule.kind in ("line", "path", "header"):
        assert rule.hits and rule.misses
    assert rule.remedy


def test_the_form_of_the_file_that_init_wrote_before_is_read() -> None:
    old = RULE + "paths = ['**/*.py']\nseverity = 'error'\n"
    assert parse_rules(old, "f")[0].paths == ("**/*.py",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[rule]", "f is not TOML"),
        ("rules = 1", "it has rules"),
        ("rule = 1", "not a list"),
        ("[[rule]]\nname = 'X y'\nmessage = 'z'\npattern = 'p'", "rule X y: name"),
        ("[[rule]]\nname = 'x'\nmessage = 'z'", "needs a pattern"),
        ("[[rule]]\nname = 'x'\nmessage = 'z'\npattern = '('", "not a regular expression"),
        ("[[rule]]\nname = 'x'\nmessage = 'z'\nkind = 'path'", "needs paths"),
        ("[[rule]]\nname = 'x'\nmessage = 'z'\nkind = 'path'\npaths = ['../x']", "glob"),
        ("[[rule]]\nname = 'x'\nmessage = 'z'\nkind = 'size'", "needs max_bytes"),
        ("[[rule]]\nname = 'x'\npattern = 'p'", "needs a message"),
        (RULE + "severity = 'fatal'", "rule x: severity"),
        (RULE + "serverity = 'error'", "rule x: serverity"),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_rule(text: str, words: str) -> None:
    with pytest.raises(UsageError, match="f") as caught:
        parse_rules(text, "f")
    assert words in caught.value.message


def test_a_team_replaces_a_rule_by_its_name_or_turns_it_off() -> None:
    own = parse_rules("[[rule]]\nname = 'binary'\nseverity = 'off'\n" + RULE.replace("'x'", "'env-file'"), "f")
    found = {rule.name: rule for rule in combined(shipped_rules(), own)}
    assert "binary" not in found and found["env-file"].kind == "line"
    assert set(found) == {rule.name for rule in shipped_rules()} - {"binary"}


def test_examples_that_are_wrong_are_named() -> None:
    rule = MergeRule(name="x", pattern="a", message="m", hits=("b",), misses=("a",))
    assert wrong_examples(rule) == ["x does not find its example 'b'", "x finds 'a', which it should not"]
