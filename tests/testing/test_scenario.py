import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.application.design import load_design
from aegis_tui.domain.run.design import Design
from aegis_tui.domain.tool.model import TOOLS, parse_arguments
from aegis_tui.errors import UsageError
from aegis_tui.testing.sample_repository import scenario_directory, scenario_names
from aegis_tui.testing.scenario import GateRule, NextReply, Scenario, load_gates, load_scenario, script_name

WriteScripts = Callable[..., Path]
Messages = list[dict[str, Any]]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def turn(*results: str) -> Messages:
    calls = [{"id": str(index), "function": {"name": "read", "arguments": "{}"}} for index, _ in enumerate(results)]
    return [
        {"role": "assistant", "content": None, "tool_calls": calls},
        *({"role": "tool", "tool_call_id": str(index), "content": text} for index, text in enumerate(results)),
    ]


def says(reply: NextReply) -> str:
    return reply.step.content or reply.step.tool_calls[0].tool


@pytest.fixture
def scenario(write_scripts: WriteScripts) -> Scenario:
    start = {
        "steps": [{"calls": [{"tool": "one"}, {"tool": "two"}]}, {"tool": "three", "gate": "g"}, {"tool": "last"}],
        "side": "a title",
        "pace": 100,
    }
    repair = {
        "on": "QA failed",
        "on_role": "user",
        "gate": "h",
        "steps": [{"tool": "fix", "pace": 5}, {"tool": "done"}],
    }
    shock = {"on": "Traceback", "on_role": "tool", "steps": [{"tool": "look"}]}
    talk = {"steps": [{"text": "hello"}, {"tool": "after-hello"}]}
    turns = {"by_turn": True, "steps": [{"text": "first"}, {"text": "second"}]}
    return load_scenario(write_scripts(work={"scripts": [start, repair, shock]}, talk=talk, turns=[turns]))


BRIEF = user("Do it. [[script:work]]")


def test_the_step_is_the_number_of_results_that_the_steps_before_it_use(scenario: Scenario) -> None:
    history: Messages = [BRIEF]
    assert says(scenario.reply(history, with_tools=True)) == "one"
    history += turn("a", "b")
    reply = scenario.reply(history, with_tools=True)
    assert (says(reply), reply.gate, reply.pace) == ("three", "g", 100)
    history += turn("c")
    assert says(scenario.reply(history, with_tools=True)) == "last"
    history += turn("d") + turn("e")
    assert says(scenario.reply(history, with_tools=True)) == "last"


def test_a_section_starts_at_the_last_message_that_it_matches(scenario: Scenario) -> None:
    history: Messages = [BRIEF, *turn("a", "b"), *turn("c"), user("QA failed: 1 of 20")]
    reply = scenario.reply(history, with_tools=True)
    assert (says(reply), reply.gate, reply.pace) == ("fix", "h", 5)
    history += turn("QA failed is only said by a tool here")
    reply = scenario.reply(history, with_tools=True)
    assert (says(reply), reply.gate, reply.pace) == ("done", None, None)
    history += [user("QA failed again")]
    assert says(scenario.reply(history, with_tools=True)) == "fix"


def test_a_section_may_start_at_a_tool_result(scenario: Scenario) -> None:
    assert says(scenario.reply([BRIEF, *turn("fine", "Traceback: ...")], with_tools=True)) == "look"


def test_a_new_brief_starts_its_script_anew(scenario: Scenario) -> None:
    history = [BRIEF, *turn("a", "b"), user("Now this. [[script:talk]]")]
    assert says(scenario.reply(history, with_tools=True)) == "hello"
    assert says(scenario.reply([*history, BRIEF], with_tools=True)) == "one"


def test_a_brief_that_quotes_an_old_failure_is_still_a_brief(scenario: Scenario) -> None:
    assert says(scenario.reply([user("QA failed earlier. [[script:work]]")], with_tools=True)) == "one"


def test_text_is_used_up_by_a_reply_without_calls(scenario: Scenario) -> None:
    said = {"role": "assistant", "content": "hello"}
    history = [user("[[script:talk]]"), said, user("Please use a tool.")]
    assert says(scenario.reply(history, with_tools=True)) == "after-hello"


def test_turns_are_counted_where_the_script_says_so(scenario: Scenario) -> None:
    history: Messages = [user("[[script:turns]]")]
    assert says(scenario.reply(history, with_tools=False)) == "first"
    history += [{"role": "assistant", "content": "first"}, user("and?")]
    assert says(scenario.reply(history, with_tools=False)) == "second"


def test_a_request_without_tools_gets_the_side_text(scenario: Scenario) -> None:
    assert says(scenario.reply([BRIEF, *turn("a", "b")], with_tools=False)) == "a title"


def test_a_conversation_without_a_marker_says_so_or_takes_the_default(scenario: Scenario) -> None:
    assert says(scenario.reply([user("hi")], with_tools=True)) == "scripted: no script named"
    assert says(scenario.reply([user("hi")], with_tools=True, default_script="work")) == "one"


def test_an_unknown_script_is_refused_with_the_known_ones(scenario: Scenario) -> None:
    with pytest.raises(UsageError, match="no script nobody") as refused:
        scenario.reply([user("[[script:nobody]]")], with_tools=True)
    assert "talk, turns, work" in refused.value.hint


def test_the_last_marker_of_the_user_counts_and_parts_are_text() -> None:
    parts = {"role": "user", "content": [{"type": "text", "text": "[[script:a]] [[script:b]]"}]}
    assert script_name([parts, {"role": "tool", "content": "[[script:c]]"}]) == "b"


def test_the_goal_in_a_system_message_names_the_script_of_a_brief_that_names_none() -> None:
    system = {"role": "system", "content": "Goal: add receipts [[script:team]]"}
    assert script_name([system, user("Receipts")]) == "team"
    assert script_name([system, user("Receipts [[script:receipt]]")]) == "receipt"


@pytest.mark.parametrize(
    "step",
    [
        {},
        {"tool": "read", "text": "both"},
        {"args": {"a": 1}, "text": "x"},
        {"tool": "read", "pace": 0},
        {"toll": "read"},
    ],
)
def test_a_step_that_is_not_one_reply_is_refused(step: dict[str, Any], write_scripts: WriteScripts) -> None:
    with pytest.raises(UsageError, match=r"bad\.json"):
        load_scenario(write_scripts(bad={"steps": [step]}))


def test_a_pattern_that_is_none_and_two_starts_are_refused(write_scripts: WriteScripts) -> None:
    with pytest.raises(UsageError, match="regular expression"):
        load_scenario(write_scripts(bad={"on": "(", "steps": [{"text": "x"}]}))
    with pytest.raises(UsageError, match="at most one section"):
        load_scenario(write_scripts(bad=[{"steps": [{"text": "x"}]}, {"steps": [{"text": "x"}]}]))


def test_an_empty_folder_is_no_scenario(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no scripts"):
        load_scenario(tmp_path)


def test_a_gate_is_opened_by_an_event_that_holds_its_fields_at_any_depth() -> None:
    rule = GateRule(type="lock:queued", match={"path": "src/a.py"})
    assert rule.opens("lock:queued", {"path": "src/a.py"})
    assert rule.opens("lock:queued", {"resources": [{"path": "src/b.py"}, {"path": "src/a.py"}]})
    assert not rule.opens("lock:queued", {"path": "src/b.py"})
    assert not rule.opens("lock:acquired", {"path": "src/a.py"})


@pytest.mark.parametrize("name", scenario_names())
def test_a_scenario_that_ships_has_a_rule_for_each_gate_and_only_legal_calls(name: str) -> None:
    directory = scenario_directory(name)
    scenario = load_scenario(directory)
    assert set(load_gates(directory)) == scenario.gates
    steps = [step for script in scenario.scripts.values() for section in script.scripts for step in section.steps]
    for call in (call for step in steps for call in step.tool_calls):
        parse_arguments(call.tool, json.dumps(call.args), allowed=TOOLS)


@pytest.mark.parametrize("name", scenario_names())
def test_the_commander_proposes_the_design_that_ships_and_it_is_valid(name: str) -> None:
    directory = scenario_directory(name)
    design = load_design(directory / "design.yaml")
    commander = load_scenario(directory).scripts["commander"].scripts[0]
    assert Design.model_validate(commander.steps[-1].tool_calls[0].args["design"]) == design
    briefs = {feature.id: feature.brief for feature in design.features}
    if design.foundation:
        briefs["foundation"] = design.foundation.brief
    assert {name: script_name([user(brief)]) for name, brief in briefs.items()} == {name: name for name in briefs}
    assert set(load_scenario(directory).scripts) - {"scout"} == {*briefs, "commander", "reviewer"}


def test_a_gate_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").write_text("- a\n")
    with pytest.raises(UsageError, match=r"gates\.yaml"):
        load_gates(tmp_path)
    (tmp_path / "gates.yaml").write_text("a: [\n")
    with pytest.raises(UsageError, match=r"gates\.yaml"):
        load_gates(tmp_path)


def test_a_scenario_that_does_not_ship_is_refused() -> None:
    assert scenario_names() == ["default", "broken", "calm", "partial"]
    with pytest.raises(UsageError, match="no scenario nothing") as refused:
        scenario_directory("nothing")
    assert json.dumps(refused.value.to_wire())
