"""Who may ask for what, against a table that is written down a second time here (HUB-9, spec 3, contract 5 and 6)."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from aegis_tui.domain import command as commands
from aegis_tui.domain.command import AnyCommand, ClientCommand, HubCommand
from aegis_tui.domain.core import THE_HUB, THE_PERSON, Actor, Workspace, execute
from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.commands import AgentRegister, InstanceStart
from aegis_tui.domain.instance.events import InstancePlanned
from aegis_tui.domain.lock.commands import LockAcquire
from aegis_tui.domain.message.commands import BroadcastSend
from aegis_tui.domain.message.exchange import FILE_ORDER, PLAN_ORDER
from aegis_tui.domain.rights import HUB_ALONE, RIGHTS, action_of, check_right
from aegis_tui.domain.role import ROLES
from aegis_tui.domain.spec.commands import SpecCreate
from aegis_tui.errors import AegisError, Refused, UsageError
from aegis_tui.sdk.tools import tools_of

COLUMNS = [
    "person",
    "commander",
    "worker",
    "scout",
    "librarian",
    "reviewer",
    "consultant",
    "git-manager",
    "junior-developer",
    "mentor",
    "spec-manager",
    "project-lead",
]
EXPECTED = """
agent:register               P C W S L R K G J M D Q
agent:report                 . C W S L R K G J M D Q
agent:leave                  . C W S L R K G J M D Q
heartbeat                    P C W S L R K G J M D Q
lock:acquire EXCLUSIVE       P C W . . . . G J . . .
lock:acquire SHARED          P C W S L R K G J M D Q
lock:acquire REVIEW          P C . . . R . . . . . .
lock:renew                   P C W S L R K G J M D Q
lock:release                 P C W S L R K G J M D Q
lock:break                   P . . . . . . . . . . .
lock:news                    P C W . . . . G J . . .
scope:request                . C W . . . . G J . . .
scope:grant                  P C W . . . . G J . . .
scope:refuse                 P C W . . . . G J . . .
partition:set                P . . . . . . . . . . .
spec:create                  P C . . . . K . . . D .
spec:rescan                  P . . . . . . . . . . .
task:claim                   . C W . . . . . J . . .
task:update                  P C W . . . . G J . . .
run:start                    P . . . . . . . . . . .
run:halt                     P . . . . . . . . . . .
run:resume                   P . . . . . . . . . . .
run:cancel                   P . . . . . . . . . . .
run:acknowledge              P . . . . . . . . . . .
qa:accept                    P . . . . . . . . . . .
rule:allow                   P . . . . . . . . . . .
rule:refuse                  P . . . . . . . . . . .
design:propose               P C . . . . . . . . . .
design:agree                 P . . . . . . . . . . .
instance:start               P C . . . . . . . . . .
instance:stop                P . . . . . . . . . . .
instance:send                P . . . . . . . . . . .
instance:answer              P . . . . . . . . . . .
diff:submit                  . C W . . . . . J . . .
review:verdict               P . . . . R . . . . . .
review:request               P C W . . . . . J . . .
review:comment               P . . . . . . . . . . .
review:discard               P . . . . . . . . . . .
review:send                  P . . . . . . . . . . .
conflict:resolve             P . . . . . . . . . . .
merge:apply                  P . . . . . . . . . . .
piece:retry                  P . . . . . . . . . . .
message:send                 P C W S L R K G J M D Q
message:read                 P C W S L R K G J M D Q
ack                          P C W S L R K G J M D Q
context:get                  P C W S L R K G J M D Q
map:ask                      P C W S L R K G J M D Q
broadcast plan:proposed      P C W . . . . . J . . .
broadcast plan:acknowledged  P C W . . R . G J . . .
broadcast plan:approved      P C . . . R . . . . . .
broadcast plan:amendment     P C W . . R K G J . . .
broadcast code:writing       P C W . . . . G J . . .
broadcast code:written       P C W . . . . G J . . .
broadcast review:requested   P C W . . . . G J . . .
broadcast review:in_progress P C . . . R . . . . . .
broadcast review:completed   P C . . . R . . . . . .
broadcast fix:suggested      P C . . . R . . . . . .
broadcast fix:in_progress    P C W . . . . G J . . .
broadcast fix:applied        P C W . . . . G J . . .
broadcast note:*             P C W S L R K G J M D Q
"""
TABLE = {
    line[:29].strip(): {name for name, mark in zip(COLUMNS, line[29:].split(), strict=True) if mark != "."}
    for line in EXPECTED.strip().splitlines()
}
DENIED = {"person.only", "role.denied", "hub.only", "instance.only"}
SPEC = {"id": "s1", "title": "t"}
GIVEN: dict[str, dict[str, Any]] = {
    "lock:acquire": {"path": "src/a.py"},
    "scope:request": {"path": "src/a.py", "reason": "r"},
    "spec:create": {"spec": SPEC},
    "design:propose": {"design": {}},
    "agent:report": {"state": "idle"},
    "review:verdict": {"review_id": "x", "decision": "approve"},
    "review:request": {"piece": "x"},
    "review:comment": {"piece": "x", "file": "a.py", "line": 1, "text": "why"},
    "review:discard": {"piece": "x"},
    "review:send": {"piece": "x"},
    "piece:retry": {"piece": "x"},
    "conflict:resolve": {"conflict_id": "x", "resolution": "person"},
}


def example(kind: type[AnyCommand], **more: Any) -> AnyCommand:
    """A command of that type with something in every field that it needs; only its kind matters here."""
    name = kind.model_fields["type"].default
    fields = {
        field: _some(info.annotation)
        for field, info in kind.model_fields.items()
        if info.is_required() and field not in {**GIVEN.get(name, {}), **more}
    }
    return kind.model_construct(**{**fields, **GIVEN.get(name, {}), **more})


def _some(annotation: object) -> object:
    text = str(annotation)
    return 1 if "int" in text else {} if "dict" in text else () if "tuple" in text else "x"


def every_command() -> list[AnyCommand]:
    modes = [example(LockAcquire, lock_type=mode) for mode in ("EXCLUSIVE", "SHARED", "REVIEW")]
    events = sorted({name.partition(" ")[0] for name in (*PLAN_ORDER, *FILE_ORDER) if ":" in name})
    told = [example(BroadcastSend, event=event) for event in (*events, "review:completed", "note:x")]
    others = [kind for kind in get_args(AnyCommand) if kind not in (LockAcquire, BroadcastSend)]
    return [*modes, *told, *(example(kind) for kind in others)]


def peopled() -> Workspace:
    """A workspace with one instance of each role."""
    workspace = Workspace()
    for number, (role, traits) in enumerate(ROLES.items(), start=1):
        planned = InstancePlanned(
            instance_id=f"{traits.prefix}01", role=role, kind="native", run=None, task="free", piece=None,
            base_oid=None, branch=None, partition=(),
        )  # fmt: skip
        workspace.evolve(Event(number, f"NATIVE-{traits.prefix}01", "2026-01-01T00:00:00Z", planned))
    return workspace


def actor_of(holder: str) -> Actor:
    return THE_PERSON if holder == "person" else Actor(f"NATIVE-{ROLES[holder].prefix}01", "instance")


def test_every_command_has_a_row_and_every_row_a_command() -> None:
    actions = {action_of(command) for command in every_command()}
    assert {name for name in actions if name not in RIGHTS} == set(), "commands without a row in rights.RIGHTS"
    assert {name for name in RIGHTS if name not in actions} == set(), "rows that stand for no command"
    assert {kind.model_fields["type"].default for kind in get_args(HubCommand)} == {
        name for name, holders in RIGHTS.items() if holders == HUB_ALONE
    }


def test_every_cell_is_as_it_was_thought_through() -> None:
    assert set(COLUMNS) == {"person", *ROLES}
    assert {name: set(holders) for name, holders in RIGHTS.items() if holders != HUB_ALONE} == TABLE


@pytest.mark.boundary(
    layer="hub rights",
    tried="every command and every broadcast, sent by every role and by a person; the hub's own commands",
    refused="everything that the table of rights does not list is refused",
)
@pytest.mark.parametrize("command", every_command(), ids=action_of)
def test_the_core_keeps_to_the_table(command: AnyCommand) -> None:
    workspace = peopled()
    before = workspace.seq
    for holder in COLUMNS:
        allowed = holder in TABLE.get(action_of(command), set())
        try:
            check_right(workspace, command, actor_of(holder))
        except Refused as refusal:
            assert not allowed and refusal.code in DENIED, (holder, refusal.message)
            with pytest.raises(Refused) as caught:
                execute(workspace, command, actor=actor_of(holder), request_id="r", now=0.0, timestamp="t")
            assert caught.value.code == refusal.code and workspace.seq == before
        else:
            assert allowed, holder
    check_right(workspace, command, THE_HUB)


@pytest.mark.parametrize(
    ("holder", "command"),
    [
        ("worker", SpecCreate(spec=SPEC)),
        ("worker", BroadcastSend(event="review:completed", data={"status": "APPROVED", "feature": "f"})),
        ("worker", BroadcastSend(event="plan:approved", data={"feature": "f"})),
        ("reviewer", LockAcquire(path="src/a.py")),
        ("scout", LockAcquire(path="src/a.py", lock_type="REVIEW")),
        ("worker", InstanceStart(role="worker")),
    ],
)
def test_what_was_seen_in_the_field_is_refused(holder: str, command: AnyCommand) -> None:
    with pytest.raises(Refused) as caught:
        execute(peopled(), command, actor=actor_of(holder), request_id="r", now=0.0, timestamp="t")
    assert caught.value.code == "role.denied"
    assert holder in caught.value.message and "it is allowed for:" in caught.value.hint
    assert holder not in caught.value.data["allowed"]


def test_an_agent_that_a_person_lets_join_has_the_rights_of_its_role() -> None:
    workspace = Workspace()
    for role in ROLES:
        join = AgentRegister(agent_type="CLAUDE", instance_id=f"a-{role}", role=role)
        execute(workspace, join, actor=THE_PERSON, request_id=role, now=0.0, timestamp="t")
        for command in every_command():
            allowed = role in TABLE.get(action_of(command), set())
            try:
                check_right(workspace, command, Actor(f"CLAUDE-a-{role}", "instance"))
            except Refused:
                assert not allowed
            else:
                assert allowed


def test_a_role_of_an_old_log_may_do_what_every_role_may() -> None:
    workspace = peopled()
    workspace.instances.by_id["NATIVE-w01"].role = "boss\u202e"
    actor = actor_of("worker")
    for command in every_command():
        everybody = set(ROLES) <= TABLE.get(action_of(command), set())
        try:
            check_right(workspace, command, actor)
        except Refused as refusal:
            assert not everybody and "\u202e" not in refusal.message
        else:
            assert everybody


def test_an_instance_that_is_gone_may_only_do_what_needs_no_role() -> None:
    with pytest.raises(Refused) as caught:
        check_right(Workspace(), example(LockAcquire, lock_type="EXCLUSIVE"), Actor("CLAUDE-x", "instance"))
    assert caught.value.code == "instance.unknown"


@pytest.mark.parametrize("event", ["plan:ready", "code:deleted", "review:skipped", "fix:done"])
def test_only_events_of_the_contract_are_broadcast(event: str) -> None:
    for actor in (THE_PERSON, actor_of("worker")):
        with pytest.raises(UsageError, match="there is no event"):
            check_right(peopled(), BroadcastSend(event=event), actor)


TOOL_COMMANDS = {
    "request_scope": "scope:request",
    "acquire_lock": "lock:acquire EXCLUSIVE",
    "renew_lock": "lock:renew",
    "release_lock": "lock:release",
    "claim_task": "task:claim",
    "update_task": "task:update",
    "propose_design": "design:propose",
    "post_findings": "message:send",
    "approve": "review:verdict",
    "reject": "review:verdict",
    "create_spec": "spec:create",
    "request_review": "review:request",
    "report_done": "agent:report",
}


@pytest.mark.parametrize("role", ROLES)
def test_no_tool_is_offered_to_a_role_that_may_not_use_it(role: str) -> None:
    offered = {TOOL_COMMANDS[name] for name in tools_of(role) if name in TOOL_COMMANDS}
    assert {name for name in offered if role not in RIGHTS[name]} == set()


def test_clients_cannot_spell_what_is_the_hubs_own() -> None:
    for kind in get_args(HubCommand):
        with pytest.raises(AegisError, match="there is no command"):
            commands.parse_command({"type": kind.model_fields["type"].default})
    assert not set(get_args(ClientCommand)) & set(get_args(HubCommand))
