"""A model is called in the documents what the table says, whatever its class is called (HUB-3)."""

from __future__ import annotations

from typing import Literal, get_args

import pytest

from aegis_tui.domain.command import ClientCommand
from aegis_tui.domain.event import AnyEventData
from aegis_tui.domain.lock.events import LockAcquired
from aegis_tui.domain.lock.model import LockMode
from aegis_tui.domain.model import EventData
from aegis_tui.hub import schema_names
from aegis_tui.hub.schema_names import NAMES, in_order, name_of, renamed

PREFIX = "#/x/"


class NoteLeft(EventData):
    """An event that nobody has named."""

    type: Literal["note:left_behind"] = "note:left_behind"


def test_every_command_and_event_has_a_name_and_no_two_models_have_one() -> None:
    models = {*NAMES, *get_args(ClientCommand), *get_args(AnyEventData)}
    assert len({name_of(model) for model in models}) == len(models)
    assert len({model.__name__ for model in models}) == len(models)


def test_a_message_that_is_not_in_the_table_is_called_as_its_type_spells_and_comes_last() -> None:
    assert name_of(NoteLeft) == "NoteLeftBehind"
    assert in_order([NoteLeft, LockAcquired]) == [LockAcquired, NoteLeft]
    made = renamed({"NoteLeft": {"title": "NoteLeft"}}, [NoteLeft], prefix=PREFIX)
    assert made == {"NoteLeftBehind": {"title": "NoteLeftBehind"}}


def test_a_name_goes_into_keys_titles_and_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_names, "NAMES", {LockMode: "Mode"})
    made = {"LockMode": {"title": "LockMode", "of": [{"$ref": "#/x/LockMode"}], "description": "LockMode"}}
    assert renamed(made, [], prefix=PREFIX) == {
        "Mode": {"title": "Mode", "of": [{"$ref": "#/x/Mode"}], "description": "LockMode"}
    }


def test_a_model_without_a_name_is_refused_by_name() -> None:
    with pytest.raises(LookupError, match="Strange"):
        renamed({"Strange": {}}, [], prefix=PREFIX)
    with pytest.raises(LookupError, match="int has no name"):
        name_of(int)
