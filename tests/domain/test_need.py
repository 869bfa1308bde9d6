"""Since when what waits for the person has been waiting (WISH-8)."""

from __future__ import annotations

from typing import get_args

import pytest

from aegis_tui.domain.answer import TEXT, answers_to
from aegis_tui.domain.command import parse_command
from aegis_tui.domain.event import AnyEventData, Event
from aegis_tui.domain.hosting.screen_prompt import ScreenPrompt
from aegis_tui.domain.instance.events import AgentState, InstanceAnswered, InstanceAsking
from aegis_tui.domain.instance.model import AgentStateName, ShownPrompt
from aegis_tui.domain.model import by_type
from aegis_tui.domain.need import ASKING, NEED_EVENTS, Need, waiting_since
from aegis_tui.domain.run.events import RunHalted
from aegis_tui.domain.scope.events import ScopeRequested
from aegis_tui.tui.screens.inbox import VERBS

A = "NATIVE-w01"


def state(seq: int, name: AgentStateName) -> Event:
    return Event(seq, A, f"t{seq}", AgentState(state=name, progress=0.0, source="hub"))


def test_an_instance_waits_since_it_first_asked_in_a_row() -> None:
    assert waiting_since([state(1, "asking"), state(2, "blocked")]) == {("instance", A): "t1"}
    assert waiting_since([state(1, "asking"), state(2, "implementing")]) == {}
    again = [state(1, "asking"), state(2, "implementing"), state(3, "asking")]
    assert waiting_since(again) == {("instance", A): "t3"}


def test_a_question_on_a_screen_waits_until_it_is_answered_or_gone() -> None:
    screen = ScreenPrompt(words="Proceed?", choices=("Yes", "No"), digest="0" * 16)
    asks = ShownPrompt(prompt="w01-p1", screen=screen, source="screen")
    begun, gone = Event(1, A, "t1", InstanceAsking(asks=asks)), Event(2, A, "t2", InstanceAsking(asks=None))
    answered = Event(2, A, "t2", InstanceAnswered(prompt="w01-p1", choice="No", delivery="delivered"))
    assert waiting_since([begun]) == {("permission", A): "t1"}
    assert waiting_since([begun, gone]) == waiting_since([begun, answered]) == {}


def test_each_choice_of_a_question_is_an_answer_by_its_number() -> None:
    need = Need("permission", A, "w", "w01-p1", ("Yes", "No"))
    first, second, stop = answers_to(need)
    assert (first.text, second.text, stop.text) == ("1", "2", "stop")
    assert second.fields == {"agent_id": A, "prompt": "w01-p1", "choice": 2}
    assert second.twin(need) == "aegis-tui inbox answer w01 2"


def test_a_request_and_a_halt_wait_since_their_event() -> None:
    asked = Event(1, A, "t1", ScopeRequested(request="s1", path="a.py", reason="why"))
    halted = Event(2, "person", "t2", RunHalted(run="run1", reason="asked"))
    assert waiting_since([asked, halted]) == {("scope", "s1"): "t1", ("halted", "run1"): "t2"}


@pytest.mark.parametrize("kind", sorted(VERBS))
def test_each_kind_of_need_has_answers_with_commands_that_exist(kind: str) -> None:
    need = Need(kind, A, "w")
    for answer in answers_to(need):
        assert parse_command({"type": answer.command, **answer.with_text("hello")})
        assert answer.twin(need).startswith("aegis-tui ") and answer.words


def test_a_text_is_put_into_its_own_field_alone() -> None:
    (advice, *_) = answers_to(Need("piece", TEXT, "w"))
    assert advice.with_text("hello") == {"piece": TEXT, "text": "hello"}


def test_the_types_and_states_that_count_are_known_ones() -> None:
    assert set(NEED_EVENTS) <= set(by_type(AnyEventData))
    assert set(get_args(AgentStateName)) >= ASKING
