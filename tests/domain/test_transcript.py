"""Whole runs in the pure core, and at each turn what every command of everybody would do, against transcript.txt.

The transcript says what the rules do today; a change of a rule shows as a change of its lines. After a wanted one,
write it anew with AEGIS_WRITE_TRANSCRIPT=1 and read the difference.
"""

from __future__ import annotations

import hashlib
import json
import os
import typing
from pathlib import Path
from typing import Any

from aegis_tui.domain import command as commands
from aegis_tui.domain.context import snapshot_view
from aegis_tui.domain.core import due_commands, execute, settled, state_hash
from aegis_tui.domain.decision import THE_HUB, THE_PERSON, Actor
from aegis_tui.domain.effect import needed
from aegis_tui.domain.event import Event, event_to_wire
from aegis_tui.domain.instance.model import Phase
from aegis_tui.domain.lock.model import LockMode
from aegis_tui.domain.run import model as domain_run
from aegis_tui.domain.run.events import RunFacts
from aegis_tui.domain.run.report import fold_report
from aegis_tui.domain.scope.text import scope_of, shared_text
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError

TRANSCRIPT = Path(__file__).with_name("transcript.txt")
KINDS: dict[str, Any] = {
    kind.model_fields["type"].default: kind
    for union in (commands.ClientCommand, commands.HubCommand)
    for kind in typing.get_args(union)
}
BASE, TEXT_CHARS, LINE_CHARS = "0" * 40, 40, 100
FACTS = RunFacts(workspace="k", base_oid=BASE, base_branch="main", qa_commands=("pytest",))
DESIGN: dict[str, Any] = {
    "goal": "g",
    "foundation": {"brief": "types", "partition": ["src/base/**"]},
    "features": [
        {"id": "alpha", "title": "A", "brief": "a", "partition": ["src/a/**"]},
        {"id": "beta", "title": "B", "brief": "b", "partition": ["src/b/**"]},
        {"id": "gamma", "title": "C", "brief": "c", "partition": ["src/c/**"], "depends_on": ["alpha"]},
    ],
    "joint": ["src/routes.py"],
    "shared": ["src/lib/**"],
}
FINDING = {"file": "src/a/x.py", "line": 3, "msg": "it is wrong"}
CROSSING = {"a": "alpha", "b": "beta", "path": "src/routes.py", "kind": "hot"}
CHECK = {"check": "tests", "command": "pytest", "passed": 1, "new_failures": [], "duration_s": 1}


def cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else f"{text[:chars]}…{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def short(value: Any) -> str:
    """One line of JSON with long texts cut; a digest stands for what is left out."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {short(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(short(item) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(cut(value, TEXT_CHARS), ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False, default=str)


class Teller:
    """Plays commands against the core and writes down what came of them."""

    def __init__(self, seen: dict[str, str]) -> None:
        self.workspace, self._scratch = Workspace(), Workspace()
        self.lines: list[str] = []
        self.log: list[Event] = []
        self.now, self.asked = 0.0, 0
        self.seen = seen

    def do(self, actor: Actor, kind: str, **fields: Any) -> dict[str, Any]:
        """A command that counts; what it leads to is told in full."""
        self.asked += 1
        self.now += 1.0
        self.lines.append(f"{actor.agent_id} {kind} {short(fields)}")
        try:
            outcome = self._execute(self.workspace, actor, kind, fields)
        except AegisError as error:
            self.lines.append(
                f"  {type(error).__name__} {error.code}: {error.message} | {short(error.data)} | {error.hint}"
            )
            self.log += getattr(error, "audit", ())
            return {}
        for event in outcome.events:
            data = {name: item for name, item in event_to_wire(event)["data"].items() if item not in (None, [], {}, "")}
            self.lines.append(f"  {event.seq} {event.type} of {event.agent_id} {short(data)}")
            if found := settled(self.workspace, event, self.now):
                agent_id, request_id, answer = found
                self.lines.append(f"  answers {request_id} of {agent_id} {short(answer)}")
        self.log += outcome.events
        if outcome.reply:
            self.lines.append(f"  = {short(outcome.reply)}")
        return dict(outcome.reply)

    def _execute(self, workspace: Workspace, actor: Actor, kind: str, fields: dict[str, Any]) -> Any:
        command = KINDS[kind].model_validate(fields)
        stamp = f"2026-01-01T00:{int(self.now) // 60:02}:{int(self.now) % 60:02}.000Z"
        return execute(workspace, command, actor=actor, request_id=f"t{self.asked}", now=self.now, timestamp=stamp)

    def look(self) -> None:
        """What everybody sees and what every command would do, as far as it is not what it was at the last look."""
        before, frozen = state_hash(self.workspace), self.workspace.dump()
        self._scratch = Workspace.load(frozen)
        assert state_hash(self._scratch) == before
        self._tell("next deadline", str(self.workspace.deadlines.next_at()))
        self._tell("effects", short([str(effect) for effect in needed(self.workspace)]))
        for name, item in snapshot_view(self.workspace, key="k", now=self.now).items():
            self._tell(f"view {name}", short(item))
        if run := self.workspace.runs.latest():
            self._tell("shared", json.dumps(shared_text(run)))
            self._tell("report", short(fold_report(self.log, run.run)))
            for item in self.workspace.instances.alive():
                self._tell(f"scope of {item.agent_id}", short(scope_of(self.workspace, run, item)))
        for actor in self._actors():
            for number, (kind, fields) in enumerate(self._wishes(actor)):
                if self._scratch.seq != frozen["seq"]:
                    self._scratch = Workspace.load(frozen)
                self._tell(f"{actor.agent_id} {kind} {number}", self._what_if(actor, kind, fields))
        assert state_hash(self.workspace) == before

    def _what_if(self, actor: Actor, kind: str, fields: dict[str, Any]) -> str:
        try:
            outcome = self._execute(self._scratch, actor, kind, fields)
        except AegisError as error:
            said = f"{type(error).__name__} {error.code}: {cut(error.message, TEXT_CHARS)}"
            return f"{said} {short(error.data)} {short(error.hint)}"
        events = [f"{event.type} of {event.agent_id}" for event in outcome.events]
        return short(events) + short(outcome.reply)

    def _tell(self, what: str, said: str) -> None:
        if self.seen.get(what) != said:
            self.seen[what] = said
            self.lines.append(f"    {what} -> {cut(said, LINE_CHARS)}")

    def _actors(self) -> list[Actor]:
        alive = {item.role: item.agent_id for item in self.workspace.instances.alive()}
        return [THE_HUB, THE_PERSON, *(Actor(name, "instance") for name in alive.values())]

    def _wishes(self, actor: Actor) -> list[tuple[str, dict[str, Any]]]:
        alive = [item.agent_id for item in self.workspace.instances.alive()]
        other = next((name for name in alive if name != actor.agent_id), "NATIVE-nobody")
        run = self.workspace.runs.latest()
        run_id = run.run if run else "run1"
        agent = {"agent_id": other}
        piece = {"run": run_id, "piece": "alpha", "head_oid": "a1"}
        oids = {"base_oid": BASE, "head_oid": "h"}
        return [
            ("agent:register", {"instance_id": "me", "agent_type": "CLAUDE"}),
            ("agent:report", {"state": "implementing", "progress": 0.5}),
            ("agent:leave", {}),
            ("lock:acquire", {"path": "src/a/x.py"}),
            ("lock:acquire", {"path": "src/routes.py", "wait_s": 5}),
            ("lock:acquire", {"path": "src/lib/y.py", "lock_type": "SHARED"}),
            ("lock:acquire", {"path": "../x.py"}),
            ("lock:acquire", {"path": "src/a/x.py", "lines": [5, 2]}),
            ("lock:renew", {"path": "src/a/x.py", "token": 1}),
            ("lock:release", {"path": "src/a/x.py"}),
            ("scope:request", {"path": "src/b/z.py", "reason": "r"}),
            ("scope:grant", {"request": "S1"}),
            ("scope:refuse", {"request": "S1"}),
            ("partition:set", {**agent, "globs": ["src/n/**"]}),
            ("partition:set", {**agent, "globs": ["src/**"]}),
            ("spec:create", {"spec": {"id": "s1", "title": "T"}}),
            ("spec:create", {"spec": {"id": "s2", "title": "T", "dependencies": ["s2"]}}),
            ("spec:create", {"spec": {"id": 5, "title": "T"}}),
            ("spec:create", {"spec": {"id": "s3", "title": " "}}),
            ("task:claim", {"spec_id": "s1", "expect_rev": 1}),
            ("task:claim", {"spec_id": "s0", "expect_rev": 1}),
            ("task:claim", {"spec_id": "late", "expect_rev": 1}),
            ("task:claim", {"spec_id": "s0", "expect_rev": 7}),
            ("task:update", {"spec_id": "s0", "task_id": "t", "status": "completed", "progress": 1.0}),
            ("task:update", {"spec_id": f"{run_id}-alpha", "task_id": "t", "status": "in-progress"}),
            ("run:start", {"goal": "h", "run": "run2", "facts": FACTS}),
            ("run:halt", {}),
            ("run:resume", {}),
            ("run:cancel", {}),
            ("run:cancel", {"run": "none"}),
            ("design:propose", {"design": DESIGN}),
            ("design:agree", {"design_id": "D1"}),
            ("design:agree", {"design_id": f"{run_id}-d1"}),
            ("instance:start", {"role": "worker", "feature": "alpha"}),
            ("instance:start", {"role": "scout"}),
            ("instance:stop", agent),
            ("instance:send", {**agent, "text": "t"}),
            ("diff:submit", {"spec_id": f"{run_id}-alpha", **oids}),
            ("diff:submit", {"spec_id": f"{run_id}-beta", **oids}),
            ("diff:submit", {"spec_id": "none", **oids}),
            ("review:verdict", {"review_id": self._review(), "decision": "approve"}),
            ("review:verdict", {"review_id": self._review(), "decision": "reject"}),
            ("review:verdict", {"review_id": "none", "decision": "approve"}),
            ("conflict:resolve", {"conflict_id": self._conflict(), "resolution": "person"}),
            ("message:send", {"to": other, "text": "t"}),
            ("message:read", {}),
            ("ack", {"of": self._message()}),
            ("broadcast", {"event": "plan:ready", "data": {}}),
            ("broadcast", {"event": "code:written", "data": {"file": "src/a/x.py", "token": 1}}),
            ("broadcast", {"event": "note:n", "data": {}}),
            ("wait:expire", {**agent, "waiting": "wait"}),
            ("session:expire", {**agent, "session": "none"}),
            ("run:mark-prepared", {"run": run_id}),
            ("instance:mark-prepared", {**agent, "worktree": "/w", "token_hash": "0" * 64}),
            ("instance:mark-launched", {**agent, "pane": "%1", "pid": 1}),
            ("instance:mark-exited", {**agent, "status": 1}),
            ("instance:mark-reclaimed", agent),
            ("instance:mark-failed", {**agent, "reason": "r"}),
            ("piece:mark-checked", {**piece, "files": ["src/a/x.py"]}),
            ("piece:mark-checked", {**piece, "files": ["src/b/x.py", "src/routes.py"]}),
            ("piece:mark-checked", {**piece, "files": ["src/base/x.py"]}),
            ("conflicts:observed", {"run": run_id, "overlaps": [CROSSING]}),
            ("merge:mark-applied", {**piece, "oid": "m"}),
            ("merge:mark-rejected", {**piece, "overlaps": [CROSSING]}),
            ("composition:mark-checked", {"run": run_id, "oid": "mc", "files": ["src/a/x.py"]}),
            ("run:fail", {"run": run_id, "code": "c", "message": "m"}),
            ("run:mark-finished", {"run": run_id, "report": {}}),
            ("gate:note", {"run": run_id, "stage": "DISPATCH", "gate": "g", "reason": "r"}),
            ("file:observed", {**agent, "path": "src/a/x.py", "change_type": "modified", "worktree": "/w"}),
            ("file:observed", {**agent, "path": "src/routes.py", "change_type": "created", "worktree": "/w"}),
            ("heartbeat", {"held": ["L1", "L73"]}),
            ("context:get", {}),
            ("broadcast", {"event": "code:written", "data": {"file": "src/lib/s.py", "token": self._shared()}}),
        ]

    def _review(self) -> str:
        run = self.workspace.runs.latest()
        return next(reversed(run.reviews), "R0") if run else "R0"

    def _conflict(self) -> str:
        run = self.workspace.runs.latest()
        return next(iter(run.conflicts), "C0") if run else "C0"

    def _shared(self) -> int:
        return next((lock.token for lock in self.workspace.locks.locks() if lock.mode is LockMode.SHARED), 1)

    def _message(self) -> int:
        return next((event.seq for event in reversed(self.log) if event.type == "message:sent"), 0)


class Run(Teller):
    """The turns that the hub and the agents of a run take."""

    @property
    def found(self) -> domain_run.Run:
        run = self.workspace.runs.latest()
        assert run is not None
        return run

    def start(self, **options: Any) -> None:
        self.do(THE_PERSON, "run:start", goal="g", design=DESIGN, options=options, run="run1", facts=FACTS)
        self.look()
        made = {"name": "e", "command": "make", "copied": ["out/"]}
        self.do(THE_HUB, "run:mark-prepared", run="run1", environment=made)
        self.look()

    def bring_up(self) -> None:
        for item in list(self.workspace.instances.by_id.values()):
            named = {"agent_id": item.agent_id}
            if item.phase is Phase.PLANNED:
                self.do(THE_HUB, "instance:mark-prepared", **named, worktree=f"/w/{item.agent_id}", token_hash="0" * 64)
                self.do(THE_HUB, "instance:mark-launched", **named, pane="%1", pid=1)
            if item.phase is Phase.LAUNCHED:
                self.do(Actor(item.agent_id, "instance"), "agent:register")

    def bring_down(self) -> None:
        for item in list(self.workspace.instances.by_id.values()):
            if item.phase is Phase.STOPPING:
                self.do(THE_HUB, "instance:mark-exited", agent_id=item.agent_id, status=0)
            if item.phase is Phase.GONE:
                self.do(THE_HUB, "instance:mark-reclaimed", agent_id=item.agent_id, rescue_ref="refs/r")

    def worker(self, piece: str) -> Actor:
        return Actor(self.found.pieces[piece].agent_id or "", "instance")

    def hand_in(self, piece: str, head: str, files: list[str], **checked: Any) -> None:
        worker = self.worker(piece)
        self.do(worker, "agent:report", state="implementing", progress=0.9, tokens={"prompt": 5, "completion": 7})
        self.do(worker, "diff:submit", spec_id=f"run1-{piece}", base_oid=BASE, head_oid=head)
        named = {"run": "run1", "piece": piece, "head_oid": head}
        self.do(THE_HUB, "piece:mark-checked", **named, files=files, **checked)

    def decide(self, decision: str, **fields: Any) -> None:
        self.bring_up()
        for item in list(self.workspace.instances.alive()):
            if item.review_id:
                verdict = {"review_id": item.review_id, "decision": decision, **fields}
                self.do(Actor(item.agent_id, "instance"), "review:verdict", **verdict)
        self.bring_down()

    def land(self, piece: str, head: str, files: list[str]) -> None:
        self.hand_in(piece, head, files)
        self.decide("approve")
        self.do(THE_HUB, "merge:mark-applied", run="run1", piece=piece, head_oid=head, oid=f"m{head}")
        self.bring_down()
        self.bring_up()

    def qa(self, *, ok: bool, blamed: tuple[str, ...] = ()) -> None:
        word = {"status": "passed" if ok else "failed", "executed": 1 + int(not ok)}
        check = {**CHECK, **word, "ok": ok, "failed": int(not ok), "new_failures": [] if ok else ["t::x"]}
        told = {"run": "run1", "round": self.found.round, "tree": "T", "oid": self.found.working_oid, "checks": [check]}
        self.do(THE_HUB, "qa:mark-finished", **told, blamed=blamed)


def before_the_run(run: Run) -> None:
    """Specs that no run stands behind."""
    run.look()
    run.do(THE_PERSON, "spec:create", spec={"id": "s0", "title": "T"})
    run.do(THE_PERSON, "spec:create", spec={"id": "late", "title": "T", "dependencies": ["s0"]})
    run.look()


def side_by_side(run: Run) -> None:
    """Two workers ask, talk, lock and write."""
    alpha, beta = run.worker("alpha"), run.worker("beta")
    asked = run.do(alpha, "scope:request", path="src/b/z.py", reason="r")
    run.look()
    run.do(beta, "scope:grant", request=asked["request"])
    run.do(alpha, "task:claim", spec_id="s0", expect_rev=1)
    run.do(alpha, "task:update", spec_id="s0", task_id="t", status="completed", progress=1.0)
    run.do(alpha, "message:send", to=beta.agent_id, text="hello")
    run.do(beta, "message:read")
    run.do(alpha, "lock:acquire", path="src/lib/s.py", lock_type="SHARED")
    lock = run.do(alpha, "lock:acquire", path="src/b/z.py")["locks"][0]
    run.do(beta, "lock:acquire", path="src/b/z.py", wait_s=5)
    run.look()
    run.do(
        alpha,
        "broadcast",
        event="code:written",
        data={"file": "src/b/z.py", "token": lock["token"], "new_oid": "b", "feature": "f"},
    )
    run.do(alpha, "lock:renew", lock_id=lock["lock_id"], token=lock["token"])
    run.do(alpha, "lock:release", lock_id=lock["lock_id"], token=lock["token"])
    run.look()
    waiting = run.do(beta, "scope:request", path="src/c/z.py", reason="r")
    run.do(THE_PERSON, "scope:refuse", request=waiting["request"], reason="no")
    run.do(THE_PERSON, "partition:set", agent_id=beta.agent_id, globs=["src/b/**", "src/d/**"])
    run.look()


def to_the_end(run: Run) -> None:
    """Composition, a QA that fails and one that does not, and the commit."""
    for blamed in (("beta",), ()):
        files = ["src/base/x.py", "src/a/x.py", "src/b/x.py", "src/c/x.py"]
        oid = run.found.working_oid
        run.do(THE_HUB, "composition:mark-checked", run="run1", oid=oid, files=files)
        run.look()
        run.decide("approve")
        run.look()
        run.qa(ok=not blamed, blamed=blamed)
        run.look()
        if blamed:
            run.bring_up()
            run.land("beta", "b2", ["src/b/x.py"])
    commit = {"oid": "c", "branch": "aegis/run1/result", "subject": "feat: g", "tree": "T", "files": 4, "trailers": {}}
    run.do(THE_HUB, "run:mark-committed", run="run1", **commit)
    run.bring_down()
    run.look()
    run.do(THE_HUB, "run:mark-finished", run="run1", report={})
    run.look()


def a_whole_run(run: Run) -> None:
    before_the_run(run)
    run.start(role_notes={"worker": "be brief"})
    run.bring_up()
    run.look()
    run.land("foundation", "f1", ["src/base/x.py"])
    run.look()
    side_by_side(run)
    run.hand_in("alpha", "a1", ["src/a/x.py"])
    run.look()
    run.decide("reject", findings=[FINDING])
    run.look()
    run.land("alpha", "a2", ["src/a/x.py"])
    run.land("beta", "b1", ["src/b/x.py"])
    run.look()
    run.land("gamma", "c1", ["src/c/x.py"])
    run.look()
    to_the_end(run)


def a_troubled_run(run: Run) -> None:
    """A foreign file, crossing lines, and a worker that is lost and one that ends, until there is no attempt left."""
    run.start(max_attempts=5, max_rounds=1, workers=2)
    run.bring_up()
    run.land("foundation", "f1", ["src/base/x.py"])
    run.hand_in("alpha", "a1", ["src/b/stolen.py", "src/routes.py"])
    run.look()
    run.do(THE_HUB, "conflicts:observed", run="run1", overlaps=[CROSSING])
    run.look()
    run.hand_in("alpha", "a2", ["src/a/x.py"], blocking=[CROSSING])
    run.look()
    run.hand_in("alpha", "a3", ["src/a/x.py"])
    run.decide("approve")
    crossing = [{**CROSSING, "hunks": 2}]
    run.do(THE_HUB, "merge:mark-rejected", run="run1", piece="alpha", head_oid="a3", overlaps=crossing)
    run.look()
    for _ in range(3):
        beta = run.workspace.instances.by_id.get(run.worker("beta").agent_id)
        if beta is None:
            break
        run.do(THE_HUB, "session:expire", agent_id=beta.agent_id, session=beta.session or "")
        run.look()
        run.bring_down()
        run.bring_up()
        run.do(THE_HUB, "instance:mark-exited", agent_id=run.worker("beta").agent_id, status=3)
        run.look()
        run.bring_down()
        run.bring_up()


def an_interrupted_run(run: Run) -> None:
    """Scouts, a halt, a worker stopped by hand, and an end by hand."""
    run.start(scouts=True)
    run.bring_up()
    run.land("foundation", "f1", ["src/base/x.py"])
    run.look()
    run.do(THE_PERSON, "run:halt", reason="lunch")
    run.look()
    run.do(THE_PERSON, "run:resume")
    run.do(THE_PERSON, "instance:stop", agent_id=run.worker("alpha").agent_id)
    run.look()
    run.bring_down()
    run.bring_up()
    run.do(run.worker("beta"), "agent:leave")
    run.look()
    run.do(THE_PERSON, "run:cancel", reason="enough")
    run.look()
    run.bring_down()
    run.do(THE_HUB, "run:mark-finished", run="run1", report={})
    run.look()


def a_proposed_design(run: Run) -> None:
    """No design at the start: a commander proposes, a person agrees."""
    run.do(THE_PERSON, "run:start", goal="g", run="run1", facts=FACTS)
    run.do(THE_HUB, "run:mark-prepared", run="run1")
    run.look()
    (commander,) = [item.agent_id for item in run.workspace.instances.alive()]
    run.do(THE_HUB, "instance:mark-prepared", agent_id=commander, worktree="/w", token_hash="0" * 64)
    run.look()
    run.do(THE_HUB, "instance:mark-launched", agent_id=commander, pane="%1", pid=1)
    run.look()
    run.bring_up()
    run.do(Actor(commander, "instance"), "design:propose", design={**DESIGN, "joint": ["src/a/**"]})
    told = run.do(Actor(commander, "instance"), "design:propose", design=DESIGN)
    run.look()
    run.do(THE_PERSON, "design:agree", design_id=told.get("design_id", ""))
    run.look()


def test_the_rules_do_what_the_transcript_says() -> None:
    told: list[str] = []
    seen: dict[str, str] = {}
    for scene in (a_whole_run, a_troubled_run, an_interrupted_run, a_proposed_design):
        run = Run(seen)
        scene(run)
        run.lines.append(f"due {short([str(item) for item in due_commands(run.workspace, 1e9)])}")
        told += [f"# {scene.__name__.replace('_', ' ')}", *run.lines]
    if os.environ.get("AEGIS_WRITE_TRANSCRIPT"):
        TRANSCRIPT.write_text("\n".join(told) + "\n", "utf-8")
    assert told == TRANSCRIPT.read_text("utf-8").splitlines()
