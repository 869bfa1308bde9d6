"""The JSON types of `domain/wire` have the fields that values have, and the documents follow from them (HUB-3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NotRequired, TypedDict

import pytest
from pydantic import BaseModel

from aegis_tui.domain.command import ClientCommand
from aegis_tui.domain.context import snapshot_view
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.event import event_to_wire
from aegis_tui.domain.model import by_type
from aegis_tui.domain.wire import answer, context
from aegis_tui.domain.wire.form import SchemaNote, Timestamp
from aegis_tui.domain.wire.reply import REPLIES
from aegis_tui.hub.schema_dicts import SAME_AS, model_of
from tests.domain import test_transcript as scenes
from tests.hub.closed import fits

LEFT_OUT = {
    "Instance": {"token_hash", "around"},
    "Piece": {"feedback", "traces", "contents"},
    "Review": {"criteria", "findings", "blobs"},
    "QaFinished": {"type"},
    "QaBaseChecked": {"type"},
    "RunCommitted": {"type"},
}
"""Fields of the core that clients do not get."""
ADDED = {"Instance": {"word", "scope_requests"}}
"""Fields that are computed for clients."""


@pytest.mark.parametrize(("kind", "state"), SAME_AS.items(), ids=lambda item: item.__name__)
def test_a_json_type_has_the_fields_of_the_model_that_it_stands_for(kind: type[Any], state: type[BaseModel]) -> None:
    name = state.__name__
    assert set(kind.__annotations__) - ADDED.get(name, set()) == set(state.model_fields) - LEFT_OUT.get(name, set())
    assert kind.__annotations__.keys() >= ADDED.get(name, set())


class Witness(scenes.Run):
    """Plays a scene and compares all JSON that a client would see with its type."""

    def __init__(self) -> None:
        super().__init__({})
        self.answered: set[str] = set()

    def look(self) -> None:
        fits(snapshot_view(self.workspace, key="k", now=self.now), context.SharedContext)
        for event in self.log:
            fits(event_to_wire(event), answer.Envelope)

    def do(self, actor: Actor, kind: str, **fields: Any) -> dict[str, Any]:
        reply = super().do(actor, kind, **fields)
        if expected := REPLIES.get(kind):
            if reply:
                fits(reply, expected)
                self.answered.add(kind)
        elif kind in by_type(ClientCommand) and kind != "context:get":
            assert reply == {}, f"domain/wire/reply.py names no reply of {kind}"
        self.look()
        return reply


@pytest.mark.parametrize(
    "scene", [scenes.a_whole_run, scenes.a_troubled_run, scenes.an_interrupted_run, scenes.a_proposed_design]
)
def test_what_clients_see_of_a_run_fits_the_types_to_the_last_field(scene: Callable[[Any], None]) -> None:
    witness = Witness()
    scene(witness)
    assert len(witness.answered) >= 3


class Outer(TypedDict):
    """What has a line."""

    at: Timestamp
    """When."""


class Inner(Outer):
    """What has more."""

    some: NotRequired[Annotated[int, SchemaNote(default=3)]]
    many: list[dict[str, Outer | None]]
    any: object


def test_a_schema_has_lines_defaults_formats_and_inner_types() -> None:
    schema = model_of(Inner, lambda kind: model_of(kind, lambda _: dict, named={}), named={}).model_json_schema()
    assert (schema["description"], schema["required"]) == ("What has more.", ["at", "many", "any"])
    fields = schema["properties"]
    assert fields["at"] == {"description": "When.", "format": "date-time", "title": "At", "type": "string"}
    assert fields["some"] == {"default": 3, "title": "Some", "type": "integer"}
    values = fields["many"]["items"]["additionalProperties"]["anyOf"]
    assert values == [{"$ref": "#/$defs/Outer"}, {"type": "null"}]
    assert fields["any"] == {"title": "Any"}


def test_replies_are_of_commands_that_there_are() -> None:
    assert REPLIES.keys() <= by_type(ClientCommand).keys()
