"""What old logs, programs and people lean on stays as it was, or gains (tests/frozen/README.md)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aegis_tui.adapters.store.reader import LogReader
from aegis_tui.domain.event import AnyEventData
from aegis_tui.domain.model import by_type
from aegis_tui.domain.run.events import Stage
from aegis_tui.domain.run.model import RunStatus
from aegis_tui.domain.wire.outputs import OUTPUTS, SAME_AS
from tests.frozen import fixtures, gains, scenes, surface
from tests.frozen.logs import DATA, folded, logs, recovered, restore
from tests.frozen.outputs import PRINTS_THE_CONTRACT, paths_of


@pytest.mark.parametrize("sql", logs(), ids=lambda path: path.stem)
def test_an_old_log_folds_to_the_state_and_the_reports_it_always_gave(sql: Path, tmp_path: Path) -> None:
    for suffix, text in folded(sql, tmp_path).items():
        others = gains.lost_values(json.loads(sql.with_suffix(suffix).read_text("utf-8")), json.loads(text), suffix)
        assert not others, "\n".join(others)
        assert text == sql.with_suffix(suffix).read_text("utf-8"), suffix


def test_every_type_of_event_is_in_a_frozen_log(tmp_path: Path) -> None:
    seen = set()
    for sql in logs():
        restore(sql, tmp_path / sql.stem)
        seen |= {event.type for event in LogReader(tmp_path / sql.stem).events()}
    assert set(by_type(AnyEventData)) - seen == set(), "a scene, then: python scripts/freeze.py --add-log NAME"


def test_the_frozen_logs_are_whole_compacted_and_in_the_middle_of_a_run(tmp_path: Path) -> None:
    first, open_runs = {}, {}
    for sql in logs():
        restore(sql, tmp_path / sql.stem)
        first[sql.stem] = LogReader(tmp_path / sql.stem).events()[0].seq
        open_runs[sql.stem] = [run.run for run in recovered(tmp_path / sql.stem).runs.by_id.values() if run.is_open]
    assert {name for name, seq in first.items() if seq > 1} == {name for name in first if name.endswith("-compacted")}
    assert {name for name, runs in open_runs.items() if runs} == {name for name in first if name.endswith("-middle")}
    assert len(first) % 3 == 0 and {"1", "1-compacted", "1-middle"} <= set(first)


def test_a_run_that_an_old_hub_was_killed_in_the_middle_of_reaches_done(tmp_path: Path) -> None:
    restore(next(sql for sql in logs() if sql.stem == "1-middle"), tmp_path / "log.db")
    run = scenes.Play()
    run.workspace, run.log = recovered(tmp_path / "log.db"), LogReader(tmp_path / "log.db").events()
    assert run.found.stage is Stage.MONITORING
    scenes.finish(run)
    assert (run.found.stage, run.found.status, run.found.ok) == (Stage.DONE, RunStatus.COMPLETED, True)


@pytest.mark.parametrize(
    "fixture", [*fixtures.names(), *fixtures.contracts()], ids=lambda fixture: str(fixture.path.stem)
)
def test_no_name_option_signature_or_schema_is_lost(fixture: fixtures.Fixture) -> None:
    assert fixture.frozen is not None
    losses = fixture.losses()
    assert not losses, "\n".join(losses)


def test_the_output_of_every_command_with_json_is_frozen() -> None:
    frozen = set(json.loads((DATA / "outputs.json").read_text("utf-8"))) | {PRINTS_THE_CONTRACT}
    asked = {name.removesuffix(" (plain)") for name, words in surface.options().items() if "--json" in words}
    assert {_told_as(name) for name in asked} - frozen == set()


def _told_as(name: str) -> str:
    """The command whose output is that of another, by the other's name."""
    for one, other in SAME_AS.items():
        name = name.replace(f"aegis-tui {one}", f"aegis-tui {other}")
    return name


def test_the_output_of_every_command_with_json_has_a_type() -> None:
    frozen = {name.removeprefix("aegis-tui ") for name in json.loads((DATA / "outputs.json").read_text("utf-8"))}
    assert {name for name in frozen if "(" not in name} == set(OUTPUTS)


def test_paths_of_keys_name_fields_and_not_things() -> None:
    value = {"a": [{"b": 1}, {"c": {"NATIVE-w01": {"d": 2}}}], "specs": {"old": {"e": 3}}}
    assert paths_of(value) == {"a", "a[].b", "a[].c", "a[].c.*", "a[].c.*.d", "specs", "specs.*", "specs.*.e"}


def test_a_name_may_be_gained_and_none_lost() -> None:
    assert gains.lost_names({"roles": ["a", "b"]}, {"roles": ["c", "b", "a"], "more": []}) == []
    assert gains.lost_names({"roles": ["a", "b"], "none": []}, {"roles": ["b"]}) == [
        "roles: a is gone",
        "none:  is gone",
    ]


def test_a_parameter_may_be_gained_with_a_default_only() -> None:
    was = {"f": ["positional_or_keyword a: int", "keyword_only b: int = 1"]}
    assert gains.lost_signatures(was, {"f": [*was["f"], "keyword_only c: int = 1"]}) == []
    assert gains.lost_signatures(was, {"f": ["positional_or_keyword z", *was["f"]]}) == [
        "f: positional_or_keyword z has no default"
    ]
    assert gains.lost_signatures(was, {"f": was["f"][::-1]}) == ["f: the order is another"]
    assert gains.lost_signatures(was, {"f": was["f"][:1]}) == ["f: keyword_only b: int = 1 is gone"]


def test_a_value_may_gain_fields_and_change_nothing() -> None:
    was = {"a": [{"b": 1}], "c": None}
    assert gains.lost_values(was, {"a": [{"b": 1, "n": 2}], "c": None}) == []
    assert gains.lost_values(was, {"a": [{"b": True}], "c": None}) == [".a[0].b is another"]
    assert gains.lost_values(was, {"a": [], "c": None}) == [".a is another"]
    assert gains.lost_values(was, {"a": [{"b": 1}]}) == [".c is gone"]


def test_a_contract_may_gain_and_demand_nothing_new_of_who_sends() -> None:
    def document(command: dict[str, object], event: dict[str, object]) -> dict[str, object]:
        return {"info": {"title": "t"}, "components": {"schemas": {"Command": command, "Event": event}}}

    was = document({"required": ["a"], "enum": ["x"]}, {"required": ["a"]})
    assert gains.lost_contract(was, document({"required": ["a"], "enum": ["x", "y"]}, {"required": ["a", "b"]})) == []
    assert gains.lost_contract(was, document({"required": ["a", "b"], "enum": ["x"]}, {"required": ["a"]})) == [
        "schema Command.required: b is demanded"
    ]
    assert gains.lost_contract(was, document({"required": ["a"], "enum": ["y"]}, {"required": []})) == [
        "schema Command.enum: x is gone",
        "schema Event.required: a is gone",
    ]
