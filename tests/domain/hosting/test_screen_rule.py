"""Screens of real programs, and the rules that recognize their states (PANE-5).

`scripts/record_screens.py` records a new version: a rule that no longer fits it fails here.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.domain.hosting.screen_prompt import PromptRule
from aegis_tui.domain.hosting.screen_rule import ScreenRule, ScreenRules, read_screen

KINDS = Path(__file__).resolve().parents[3] / "aegis_tui" / "adapters" / "agents" / "kinds"
FILES = sorted(Path(__file__).with_name("screens").glob("*.json"))
EXPECTED = {"idle": "idle", "running": "running", "asking": "asking", "done": "idle", "trust": "asking"}
"""State of the program when its screen was recorded -> what the screen shows."""


def recorded(file: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return facts


CASES = [(file, state) for file in FILES for state in EXPECTED if state != "trust" or state in recorded(file)["states"]]


def rules_of(name: str) -> ScreenRules:
    return KindFile.model_validate(tomllib.loads((KINDS / f"{name}.toml").read_text("utf-8"))).screen


@pytest.mark.parametrize(("file", "state"), CASES, ids=lambda value: getattr(value, "stem", value))
def test_a_recorded_screen_shows_the_state_that_the_program_was_in(file: Path, state: str) -> None:
    facts = recorded(file)
    screen = facts["states"][state]
    shown = read_screen(rules_of(facts["kind"]), screen["title"], screen["lines"])
    assert shown is not None and shown.state == EXPECTED[state]
    assert shown.evidence.strip()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_rules_name_the_version_with_which_they_were_recorded(file: Path) -> None:
    facts = recorded(file)
    assert facts["version"] in rules_of(facts["kind"]).versions


def test_each_kind_with_rules_has_screens_at_two_sizes() -> None:
    kinds = {file.stem for file in KINDS.glob("*.toml") if rules_of(file.stem).rules}
    sizes = {name: {recorded(file)["width"] for file in FILES if recorded(file)["kind"] == name} for name in kinds}
    assert kinds and all(len(widths) == 2 for widths in sizes.values()), sizes


def test_what_an_agent_prints_earlier_on_its_screen_does_not_hide_a_later_state() -> None:
    rules = ScreenRules(rules=(ScreenRule(state="asking", lines=("^ *Proceed[?]", "^ *1[.] Yes")),))
    assert read_screen(rules, "", ["Proceed?", "1. Yes"]) is not None
    assert read_screen(rules, "", ["Proceed?"]) is None
    assert read_screen(rules, "", ["Proceed?", "1. Yes", *["text"] * 30]) is None


def test_hidden_characters_of_a_screen_are_not_passed_on() -> None:
    rules = ScreenRules(rules=(ScreenRule(state="running", title="^busy"),))
    shown = read_screen(rules, "busy\x1b[31m\u202e", [])
    assert shown is not None and shown.source == "title" and "\x1b" not in shown.evidence
    assert read_screen(rules, "quiet", ["busy"]) is None


@pytest.mark.parametrize("rule", [{"state": "running", "lines": ["("]}, {"state": "dancing", "lines": ["a"]}])
def test_a_rule_that_is_not_one_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ScreenRule.model_validate(rule)


def test_a_rule_without_conditions_fits_nothing() -> None:
    assert read_screen(ScreenRules(rules=(ScreenRule(state="idle"),)), "t", ["l"]) is None


ASKED = {
    "claude-code": ("touch made.txt Do you want to proceed?", 4, "No"),
    "codex": ("Would you like to run the following command?", 3, "No, and tell Codex what to do differently (esc)"),
    "gemini-cli": ("? Shell touch made.txt touch made.txt Allow execution of [Shell]?", 3, "No, suggest changes (esc)"),
    "qwen-code": ("touch made.txt Allow execution of: 'touch'?", 4, "No, suggest changes (esc)"),
    "opencode": ("△ Permission required", 0, ""),
}
"""Kind -> a part of the question on its recorded screens, the number of choices, and the last choice."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_question_on_a_recorded_screen_has_the_choices_that_it_shows(file: Path) -> None:
    facts = recorded(file)
    words, number, last = ASKED[facts["kind"]]
    screen = facts["states"]["asking"]
    shown = read_screen(rules_of(facts["kind"]), screen["title"], screen["lines"])
    assert shown is not None and shown.asks is not None
    prompt = shown.asks.prompt
    assert words in prompt.words and len(prompt.choices) == number
    assert not number or (prompt.choices[-1] == last and shown.asks.marked == 0)


TRUST = {
    "claude-code": ("/tmp/shop/repo Quick safety check", ("No, exit", "Yes, I trust this folder")),
    "codex": ("Folder access /tmp/shop/repo Trust this", ("Trust and continue", "Back to Agent Command Center")),
}


@pytest.mark.parametrize("file", [file for file, state in CASES if state == "trust"], ids=lambda file: file.stem)
def test_whether_a_folder_is_trusted_is_a_question_with_its_choices(file: Path) -> None:
    facts = recorded(file)
    words, choices = TRUST[facts["kind"]]
    screen = facts["states"]["trust"]
    shown = read_screen(rules_of(facts["kind"]), screen["title"], screen["lines"])
    assert shown is not None and shown.asks is not None
    assert words in shown.asks.prompt.words and shown.asks.prompt.choices == choices and shown.asks.marked == 0


def test_choices_without_numbers_that_do_not_adjoin_are_others() -> None:
    rule = ScreenRule(
        state="asking",
        lines=("^Trust",),
        prompt=PromptRule(begin="^Trust", choice="^(?:(?P<mark>>) )?(?P<words>(?:Yes|No).*)"),
    )
    shown = read_screen(ScreenRules(rules=(rule,)), "", ["Trust?", "No longer", "", "because", "> No", "  Yes"])
    assert shown is not None and shown.asks is not None and shown.asks.prompt.choices == ("No", "Yes")


CLAUDE = [f"{'─' * 30}", " Bash command", " ls", " Do you want to proceed?", " ❯ 1. Yes", "   2. No", " Esc to cancel"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({4: "   1. Yes"}, "no choice is marked"),
        ({5: " ❯ 2. No"}, "two are marked"),
        ({5: "   3. No"}, "a number is missing"),
        ({0: " the beginning has scrolled away"}, "a part of what is asked cannot be seen"),
        ({2: " " + "x" * 990}, "it is too long to be shown whole"),
        ({6: "\n".join(["text below"] * 4) + "\n Esc to cancel"}, "it stands higher up, as text of an earlier turn"),
    ],
)
def test_a_question_that_cannot_be_read_with_certainty_has_no_choices(change: dict[int, str], why: str) -> None:
    rules = rules_of("claude-code")
    certain = read_screen(rules, "", CLAUDE)
    assert certain is not None and certain.asks is not None and certain.asks.prompt.choices == ("Yes", "No")
    lines = [part for at, line in enumerate(CLAUDE) for part in change.get(at, line).split("\n")]
    shown = read_screen(rules, "", lines)
    assert shown is not None and shown.asks is not None, why
    assert shown.asks.prompt.choices == () and shown.asks.marked is None, why


def test_a_rule_for_choices_needs_its_groups() -> None:
    with pytest.raises(ValidationError, match="no group mark and no group words"):
        ScreenRules.model_validate({"prompt": {"begin": "^a", "choice": "(?P<number>1)"}})
