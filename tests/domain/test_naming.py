"""Names that a client chooses come from a closed alphabet, and what is reserved is refused (contract 2, SEC-2)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.domain import command as commands
from aegis_tui.domain import naming
from aegis_tui.domain.command import parse_command
from aegis_tui.domain.core import THE_PERSON, Actor, Workspace, execute
from aegis_tui.domain.event import Event
from aegis_tui.domain.ids import agent_id, instance_id
from aegis_tui.domain.instance.commands import AgentRegister
from aegis_tui.domain.instance.events import AgentJoined, InstancePlanned
from aegis_tui.domain.role import ROLES
from aegis_tui.domain.run.design import Design, check_design
from aegis_tui.domain.spec.commands import SpecCreate, TaskUpdate
from aegis_tui.errors import AegisError, UsageError
from aegis_tui.hub.interest import Interest

HOSTILE = ["../x", "a/b", "a\nb", "a\x00b", "\x1b[2J", "\u202eabc", "a b", "", ".x", "-x", "é", "а", "a\u200b", "$(id)"]
RESERVED_IDS = ["person", "hub", "Person", "HUB", "shared", "foundation", "composition", "integration", "result"]
GIVEN_IDS = ["c01", "w01", "w1000", "s07", "W01", "r12"]


def say(workspace: Workspace, command: commands.AnyCommand, actor: Actor = THE_PERSON) -> None:
    execute(workspace, command, actor=actor, request_id="r", now=0.0, timestamp="2026-01-01T00:00:00Z")


def register(**fields: Any) -> Workspace:
    workspace = Workspace()
    say(workspace, AgentRegister(**{"agent_type": "CLAUDE", "instance_id": "one", **fields}))
    return workspace


@pytest.mark.boundary(
    layer="hub rights",
    tried="agent kinds, instance ids and roles that contain paths, controls, escapes or direction marks; reserved or "
    "used ids",
    refused="refused; the message says what is allowed",
)
@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["agent_type", "instance_id", "role"])
def test_who_one_is_has_a_plain_name(field: str, text: str) -> None:
    if field == "role" and text == "":
        assert register(role="").instances.by_id["CLAUDE-one"].role == "worker"
        return
    with pytest.raises(UsageError) as caught:
        register(**{field: text})
    assert caught.value.hint
    assert not re.search(r"[\x00-\x1f\u202e\u200b]", caught.value.message)


@pytest.mark.parametrize("text", [*RESERVED_IDS, *GIVEN_IDS, "NATIVE-w01", "UI-team"])
def test_an_id_that_means_something_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"reserved|form of the ids|looks like"):
        register(instance_id=text)


@pytest.mark.parametrize("text", ["person", "HUB", "shared", "person-x", "a" * 33, "9x", "_x", "-x", "x-"])
def test_a_kind_is_a_word_and_further_ones_after_dashes(text: str) -> None:
    with pytest.raises(UsageError, match="agent kind"):
        register(agent_type=text)


def test_an_agent_id_begins_with_the_first_word_of_the_kind() -> None:
    assert list(register(agent_type="claude-code").instances.by_id) == ["CLAUDE-one"]


@pytest.mark.parametrize("role", ["boss", "Worker", "person", "reviewer "])
def test_a_role_is_one_that_has_rights(role: str) -> None:
    with pytest.raises(UsageError, match="there is no role"):
        register(role=role)


def test_ids_that_differ_in_case_only_are_one() -> None:
    workspace = register(instance_id="frontend")
    with pytest.raises(AegisError, match="frontend"):
        say(workspace, AgentRegister(agent_type="CLAUDE", instance_id="Frontend"))


def test_the_kind_of_a_planned_instance_is_not_what_it_says() -> None:
    workspace = Workspace()
    planned = InstancePlanned(
        instance_id="w01",
        role="worker",
        kind="native",
        run=None,
        task="free",
        piece=None,
        base_oid=None,
        branch=None,
        partition=(),
    )
    workspace.evolve(Event(1, "NATIVE-w01", "2026-01-01T00:00:00Z", planned))
    command = AgentRegister(agent_type="\u202eEVIL", instance_id="../x", role="person")
    actor = Actor("NATIVE-w01", "instance")
    outcome = execute(workspace, command, actor=actor, request_id="r", now=0.0, timestamp="2026-01-01T00:00:00Z")
    joined = outcome.events[0].data
    assert isinstance(joined, AgentJoined)
    assert (joined.agent_type, joined.role) == ("NATIVE", "worker")


@pytest.mark.parametrize("text", [*HOSTILE, "a..b", "a.", "x.lock", "a" * 101, "hub"])
def test_a_spec_id_can_be_a_file(text: str) -> None:
    with pytest.raises(UsageError, match="spec id"):
        say(Workspace(), SpecCreate(spec={"id": text, "title": "t"}))
    with pytest.raises(UsageError, match="spec id"):
        say(Workspace(), SpecCreate(spec={"id": "s", "title": "t", "dependencies": [text]}))


@pytest.mark.parametrize("title", ["a\nb", "\u202ea", "a\x00", " "])
def test_a_title_is_one_plain_line(title: str) -> None:
    with pytest.raises(UsageError, match="title"):
        say(Workspace(), SpecCreate(spec={"id": "s", "title": title}))


@pytest.mark.parametrize("value", ["s1", {"s1": 1}, 5])
def test_dependencies_are_a_list(value: object) -> None:
    with pytest.raises(UsageError, match="dependencies"):
        say(Workspace(), SpecCreate(spec={"id": "s", "title": "t", "dependencies": value}))


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["task_id", "status"])
def test_tasks_and_their_states_are_words(field: str, text: str) -> None:
    workspace = Workspace()
    say(workspace, SpecCreate(spec={"id": "s", "title": "t"}))
    fields = {"spec_id": "s", "task_id": "t", "status": "completed", field: text}
    with pytest.raises(UsageError):
        say(workspace, TaskUpdate(**fields))


@pytest.mark.parametrize("text", ["--upload-pack=x", "refs/heads/main", "a b", "\n", "HEAD~1", "x" * 65])
def test_what_is_submitted_is_named_by_object_ids(text: str) -> None:
    fields = {"type": "diff:submit", "spec_id": "s", "base_oid": "0" * 40, "head_oid": text}
    with pytest.raises(UsageError, match="head_oid"):
        parse_command(fields)


@pytest.mark.parametrize("name", ["person", "hub", "composition", "integration", "result"])
def test_a_feature_is_not_called_like_something_else(name: str) -> None:
    feature = {"id": name, "title": "t", "brief": "b", "partition": ["src/**"]}
    (issue,) = check_design(Design.model_validate({"goal": "g", "features": [feature]}))
    assert "reserved" in issue.message


@pytest.mark.parametrize("text", [name for name in HOSTILE if name])
def test_a_subscription_names_event_types(text: str) -> None:
    with pytest.raises(UsageError):
        Interest().with_types([text])


@pytest.mark.parametrize(
    "text", ["*", "lock:*", "specs.>", "heartbeat.NATIVE-w01", "specs.task-assigned", "gate:passed"]
)
def test_every_type_that_there_is_can_be_named(text: str) -> None:
    assert Interest().with_types([text]).types == (text,)


@given(st.text(max_size=12) | st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True))
def test_an_id_that_is_taken_stays_what_it_is_in_either_form(text: str) -> None:
    try:
        naming.check_outside_id(text)
    except UsageError:
        return
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", text)
    assert instance_id(text) == text == instance_id(agent_id("CLAUDE", text))
    assert not any(re.fullmatch(rf"{role.prefix}\d\d+", text, re.IGNORECASE) for role in ROLES.values())


@given(st.text(max_size=12) | st.from_regex(r"[A-Za-z0-9_.-]{1,12}", fullmatch=True))
def test_a_spec_id_is_a_safe_part_of_a_ref_and_a_path(text: str) -> None:
    try:
        naming.check_spec_id(text)
    except UsageError:
        return
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text)
    assert ".." not in text and not text.endswith((".lock", "."))
