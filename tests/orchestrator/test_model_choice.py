"""Which model of several does the work: found by trying, within bounds, and told with the others."""

from __future__ import annotations

import asyncio

import pytest

from aegis_tui.domain.count import listed
from aegis_tui.errors import AegisError, ModelKeyRefused, ModelRefused, ModelUnavailable
from aegis_tui.orchestrator import model_choice
from aegis_tui.orchestrator.model_choice import ModelChooser
from aegis_tui.ports.model_server import ChosenModel

URL = "http://127.0.0.1:8001/v1"


class Server:
    """Models and what comes of a trial of each: True or False, an error, or a time that is too long."""

    def __init__(self, **models: bool | AegisError | float) -> None:
        self.models = {name.replace("_", "-"): outcome for name, outcome in models.items()}
        self.tried: list[str] = []
        self.chooser = ModelChooser(self.attempt)

    async def attempt(self, base_url: str, model: str) -> bool:
        assert base_url == URL
        self.tried.append(model)
        outcome = self.models.get(model, ModelRefused(f"no model {model}"))
        if isinstance(outcome, AegisError):
            raise outcome
        if isinstance(outcome, float):
            await asyncio.sleep(outcome)
        return bool(outcome)

    def choose(self, wanted: str | None = None) -> ChosenModel:
        return asyncio.run(self.chooser.choose(URL, list(self.models), wanted=wanted))


NO = ModelRefused("does not support chat")


def test_the_first_that_calls_a_tool_is_taken_and_the_others_are_named() -> None:
    server = Server(rerank_x=NO, chat_only=False, chat=True, last=True)
    assert server.choose() == ChosenModel("chat", ("rerank-x", "chat-only", "last"))
    assert server.tried == ["chat-only", "chat"]


def test_an_embedding_model_listed_first_is_tried_last() -> None:
    server = Server(text_embedding_x=NO, chat=True)
    assert server.choose().model == "chat"
    assert server.tried == ["chat"]


def test_one_that_only_chats_is_better_than_none() -> None:
    assert Server(a=NO, b=False).choose().model == "b"


def test_one_model_alone_is_taken_without_a_trial_and_none_is_none() -> None:
    server = Server(only=NO)
    assert server.choose() == ChosenModel("only")
    assert server.tried == []
    assert Server().choose() == ChosenModel(None)


def test_the_answer_is_kept_for_the_same_list() -> None:
    server = Server(a=NO, b=True)
    assert server.choose() == server.choose()
    assert server.tried == ["a", "b"]


def test_a_named_model_is_taken_when_it_is_listed_or_answers() -> None:
    server = Server(a=True, b=NO)
    assert server.choose("b") == ChosenModel("b", ("a",))
    assert server.tried == []
    server.models["alias"] = True
    assert asyncio.run(server.chooser.choose(URL, ["a"], wanted="alias")).model == "alias"


def test_a_named_model_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(ModelUnavailable, match="serves no model c") as caught:
        Server(a=True, b=True).choose("c")
    assert "a, b" in caught.value.hint and "--model" in caught.value.hint


def test_where_none_can_chat_each_says_why() -> None:
    with pytest.raises(ModelUnavailable, match="a: does not support chat; b: does not support chat") as caught:
        Server(a=NO, b=NO).choose()
    assert "AEGIS_MODEL" in caught.value.hint


def test_a_key_that_is_missing_is_the_reason_at_once() -> None:
    server = Server(a=ModelKeyRefused("401", "give a key"), b=True)
    with pytest.raises(ModelUnavailable) as caught:
        server.choose()
    assert (caught.value.code, caught.value.hint, server.tried) == ("model.key", "give a key", ["a"])


def test_trials_end_in_time_and_are_not_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_choice, "TRIAL_S", 0.05)
    server = Server(slow=60.0, chat=True)
    assert server.choose().model == "chat"
    many = Server(**{f"m{number}": NO for number in range(100)})
    with pytest.raises(ModelUnavailable):
        many.choose()
    assert len(many.tried) == model_choice.MOST_TRIALS
    assert listed(list(many.models)).endswith("and 88 more")
