"""What the frozen logs tell: played once against the core of their day, kept as rows since.

A new type of event gets a place here, then a log of its own: `python scripts/freeze.py --add-log NAME`.
"""

from __future__ import annotations

from typing import Any

from aegis_tui.domain.core import evolve
from aegis_tui.domain.decision import THE_HUB, THE_PERSON, Actor
from aegis_tui.domain.event import Event
from aegis_tui.domain.model import EventData
from aegis_tui.domain.run.report import fold_report
from aegis_tui.domain.spec.events import SpecFailed, SpecTaskCompleted
from tests.domain.test_transcript import BASE, CHECK, CROSSING, Run, side_by_side, to_the_end

ONE, TWO, THREE = (Actor(f"CLAUDE-{name}", "instance") for name in ("one", "two", "three"))


class Play(Run):
    """A run that nobody looks at."""

    def __init__(self) -> None:
        super().__init__({})

    def look(self) -> None:
        return

    def do(self, actor: Actor, kind: str, **fields: Any) -> dict[str, Any]:
        """As in the transcript; a run ends with its report, as the hub folds it."""
        if kind == "run:mark-finished":
            fields["report"] = fold_report(self.log, fields["run"])
        return super().do(actor, kind, **fields)

    def tell(self, agent_id: str, data: EventData) -> None:
        """An event that no rule of today leads to; older logs may hold it."""
        event = Event(self.workspace.seq + 1, agent_id, f"2026-01-01T00:59:{self.workspace.seq % 60:02}.000Z", data)  # type: ignore[arg-type]  # a member of the union
        evolve(self.workspace, event)
        self.log.append(event)


def locks_by_hand(run: Play) -> None:
    """Three agents of a person: a lock that is refused, one that would close a cycle, one that is broken, regions."""
    for actor in (ONE, TWO, THREE):
        run.do(THE_PERSON, "agent:register", agent_type="CLAUDE", instance_id=actor.agent_id.removeprefix("CLAUDE-"))
    held = run.do(ONE, "lock:acquire", path="a.py", ttl_s=40)["locks"][0]
    run.do(TWO, "lock:acquire", path="a.py")
    other = run.do(TWO, "lock:acquire", path="b.py")["locks"][0]
    run.do(ONE, "lock:acquire", path="b.py", wait_s=60)
    run.do(TWO, "lock:acquire", path="a.py", wait_s=60)
    run.do(THE_HUB, "wait:expire", agent_id=ONE.agent_id, waiting=f"t{run.asked - 1}")
    run.do(THE_HUB, "lock:expire", lock_id=held["lock_id"], token=held["token"])
    run.do(THE_PERSON, "lock:break", lock_id=other["lock_id"], reason="needed")
    mine = run.do(ONE, "lock:acquire", pinned=[region(1, 3)])["locks"][0]
    run.do(TWO, "lock:acquire", pinned=[region(10, 12)])
    run.do(THREE, "lock:acquire", pinned=[region(2, 12)], wait_s=60)
    rewrite = {"base_oid": "A", "new_oid": "B", "hunks": [{"start": 2, "removed": 1, "added": 2}]}
    written = {"file": "r.py", "token": mine["token"], "base_oid": "A", "new_oid": "B"}
    run.do(ONE, "broadcast", event="code:written", data=written, rewrite=rewrite)
    run.do(ONE, "lock:renew", lock_id=mine["lock_id"], token=mine["token"])


def region(first: int, last: int) -> dict[str, Any]:
    view = {"base_oid": "A", "spans": [[first, last]]}
    return {"path": "r.py", "region": {"lines": [first, last]}, "views": [view]}


def words_by_hand(run: Play) -> None:
    """A message that arrives, a plan, a file that changes, specs that end, an agent that leaves."""
    sent = run.do(ONE, "message:send", to=TWO.agent_id, text="hello\nsecond line")
    run.do(TWO, "ack", of=sent["seq"])
    run.do(ONE, "message:send", to=TWO.agent_id, text="not read yet")
    run.do(TWO, "broadcast", event="plan:proposed", data={"feature": "f", "approach": "a", "files": ["b.py"]})
    run.do(THE_HUB, "file:observed", agent_id=ONE.agent_id, path="c.py", change_type="modified", worktree="/w")
    run.do(THE_PERSON, "spec:create", spec={"id": "old", "title": "T"})
    run.tell(ONE.agent_id, SpecTaskCompleted(specId="old", path=".agents/specs/active/old.md", taskId="t"))
    run.tell(ONE.agent_id, SpecFailed(specId="old", path=".agents/specs/active/old.md", reason="gave up"))
    run.do(THREE, "agent:leave", reason="done")


def begin(run: Play, **options: Any) -> None:
    """A run up to two workers at work beside each other, with a base that QA would refuse."""
    run.do(THE_PERSON, "spec:create", spec={"id": "s0", "title": "T"})
    run.start(role_notes={"worker": "be brief"}, **options)
    run.do(THE_PERSON, "run:halt", reason="lunch")
    run.do(THE_PERSON, "run:resume")
    shut = {**CHECK, "ok": False, "failed": 3, "status": "failed", "is_acceptable": True, "reason": "fails on the base"}
    run.do(THE_HUB, "qa:mark-base-checked", run="run1", oid=BASE, checks=[shut])
    run.do(THE_PERSON, "qa:accept", run="run1")
    run.bring_up()
    run.land("foundation", "f1", ["src/base/x.py"])
    side_by_side(run)
    run.do(THE_HUB, "conflicts:observed", run="run1", overlaps=[CROSSING])


def changed_under_review(run: Play) -> None:
    """The reviewer of alpha reads, and its author changes a file meanwhile."""
    run.bring_up()
    for item in [item for item in run.workspace.instances.alive() if item.review_id]:
        run.do(Actor(item.agent_id, "instance"), "agent:report", state="reviewing")
    seen = {"path": "src/a/x.py", "change_type": "modified", "worktree": "/w/alpha", "oid": "other"}
    run.do(THE_HUB, "file:observed", agent_id=run.worker("alpha").agent_id, **seen)


def crossing(run: Play) -> None:
    """A piece that is sent back by review, one that crosses another's lines, a worker that is lost."""
    run.hand_in("alpha", "a1", ["src/a/x.py"], contents={"src/a/x.py": "a1-x"})
    changed_under_review(run)
    run.decide("reject", findings=[{"file": "src/a/x.py", "line": 3, "msg": "it is wrong"}])
    for line, text in ((3, "why twice?"), (9, "rename it"), (1, "never mind")):
        comment = {"piece": "alpha", "file": "src/a/x.py", "line": line, "text": text, "quote": "x = 1"}
        run.do(THE_PERSON, "review:comment", **comment)
    run.do(THE_PERSON, "review:discard", piece="alpha", numbers=[3])
    run.do(THE_PERSON, "review:send", piece="alpha")
    run.hand_in("alpha", "a2", ["src/a/x.py"])
    run.decide("approve")
    overlaps = [{**CROSSING, "hunks": 2}]
    run.do(THE_HUB, "merge:mark-rejected", run="run1", piece="alpha", head_oid="a2", overlaps=overlaps)
    for name in [name for name, item in run.found.conflicts.items() if item.resolution is None]:
        run.do(THE_PERSON, "conflict:resolve", conflict_id=name, resolution="person")
    beta = run.worker("beta")
    session = run.workspace.instances.by_id[beta.agent_id].session or ""
    run.do(THE_HUB, "session:expire", agent_id=beta.agent_id, session=session)
    run.bring_down()
    run.bring_up()


def finish(run: Play) -> None:
    """From where `crossing` leaves it to DONE."""
    run.land("alpha", "a3", ["src/a/x.py"])
    held(run, "gamma", "c0", "src/c/x.bin")
    run.land("beta", "b1", ["src/b/x.py"])
    run.land("gamma", "c1", ["src/c/x.py"])
    to_the_end(run)


def finish_without_alpha(run: Play) -> None:
    """From where `crossing` leaves it to a result without alpha, which breaks QA, and gamma, which builds on it."""
    run.land("alpha", "a3", ["src/a/x.py"])
    held(run, "gamma", "c0", "src/c/x.bin")
    stuck(run, "gamma", "src/c/x.py")
    tested(run, "beta", "b1", ["src/b/x.py"], is_red=False)
    run.decide("approve")
    run.do(THE_HUB, "merge:mark-applied", run="run1", piece="beta", head_oid="b1", oid="beta-merged")
    run.land("gamma", "c1", ["src/c/x.py"])
    files = ["src/base/x.py", "src/a/x.py", "src/b/x.py", "src/c/x.py"]
    run.do(THE_HUB, "composition:mark-checked", run="run1", oid=run.found.working_oid, files=files)
    run.decide("approve")
    run.do(THE_PERSON, "merge:apply")
    run.qa(ok=False, blamed=("alpha",))
    bad = [{"piece": "alpha", "reason": "QA fails with it: t::x"}]
    run.do(THE_HUB, "merge:mark-culprits", run="run1", oid=run.found.working_oid, culprits=bad)
    run.do(THE_HUB, "merge:mark-rebuilt", run="run1", instead_of=run.found.working_oid, oid="rebuilt")
    kept = ["src/base/x.py", "src/b/x.py"]
    run.do(THE_HUB, "composition:mark-checked", run="run1", oid="rebuilt", files=kept)
    run.decide("approve")
    run.qa(ok=True)
    commit = {"oid": "c", "branch": "aegis/run1/result", "subject": "feat: g", "tree": "T", "files": 2, "trailers": {}}
    run.do(THE_HUB, "run:mark-committed", run="run1", **commit)
    run.bring_down()
    run.do(THE_HUB, "run:mark-finished", run="run1")


def tested(run: Play, piece: str, head: str, files: list[str], *, is_red: bool) -> None:
    """A submission whose own checks ran on its tree merged with the working ref."""
    run.hand_in(piece, head, files)
    green = {**CHECK, "status": "passed", "ok": True}
    red = {"ok": False, "failed": 1, "status": "failed", "new_failures": ["t::y"], "reason": "1 new failure: t::y"}
    place = {"run": "run1", "piece": piece, "head_oid": head, "onto_oid": run.found.working_oid, "tree": f"T{head}"}
    run.do(THE_HUB, "piece:mark-tested", **place, checks=[{**green, **red} if is_red else green])


def stuck(run: Play, piece: str, file: str) -> None:
    """A piece that no worker gets through, so that the person is asked and gives advice."""
    for head in ("s1", "s2"):
        tested(run, piece, head, [file], is_red=True)
    run.do(THE_PERSON, "piece:retry", piece=piece, text="look at the other end")


def held(run: Play, piece: str, head: str, file: str) -> None:
    """A piece that waits for the person, who allows one finding and sends it back for another."""
    run.hand_in(piece, head, [file], broken=waiting(file), scanner="gitleaks 8.24.0")
    run.do(THE_PERSON, "rule:allow", keys=["k1"], reason="a picture")
    run.do(THE_PERSON, "rule:refuse", piece=piece, reason="make it smaller")


def asked(run: Play, agent_id: str) -> None:
    """The program of an instance asks on its screen: the first question goes away, the second stays."""
    screen = {"words": "Do you want to proceed?", "choices": ["Yes", "No"], "digest": "0123456789abcdef"}
    run.do(THE_HUB, "instance:mark-asking", agent_id=agent_id, screen=screen)
    run.do(THE_HUB, "instance:mark-asking", agent_id=agent_id, screen=None)
    run.do(THE_HUB, "instance:mark-asking", agent_id=agent_id, screen=screen)


def answered(run: Play, agent_id: str) -> None:
    """A person answers the question on the screen, and the hub has typed it."""
    short = agent_id.partition("-")[2]
    given = {"prompt": f"{short}-p2", "choice": 2, "delivery": "delivered"}
    run.do(THE_PERSON, "instance:answer", agent_id=agent_id, **given)


def waiting(file: str) -> list[dict[str, Any]]:
    """Two findings of merge rules that only a person may allow."""
    found = {"rule": "binary", "file": file, "msg": "nobody can review a binary file", "severity": "person"}
    return [{**found, "key": "k1"}, {**found, "key": "k2", "rule": "large-file", "msg": "the file is large"}]


def everything() -> Play:
    """Every type of event, and a run that reaches DONE."""
    run = Play()
    locks_by_hand(run)
    words_by_hand(run)
    begin(run, max_rounds=2, handovers=0, attended=True)
    crossing(run)
    asked(run, run.worker("beta").agent_id)
    answered(run, run.worker("beta").agent_id)
    finish_without_alpha(run)
    run.do(THE_PERSON, "run:acknowledge", run="run1")
    return run


def in_the_middle() -> Play:
    """A run as a killed hub leaves it: pieces in review and held, a lock that is waited for, a question, prompts."""
    run = Play()
    locks_by_hand(run)
    begin(run)
    crossing(run)
    alpha, beta = run.worker("alpha"), run.worker("beta")
    run.do(alpha, "lock:acquire", path="src/routes.py")
    run.do(beta, "lock:acquire", path="src/routes.py", wait_s=300)
    run.do(beta, "scope:request", path="src/a/z.py", reason="r")
    asked(run, alpha.agent_id)
    run.do(THE_PERSON, "instance:send", agent_id=beta.agent_id, text="mind the tests")
    run.hand_in("alpha", "a3", ["src/a/x.py"])
    run.hand_in("beta", "b0", ["src/b/x.bin"], broken=waiting("src/b/x.bin"), scanner="gitleaks 8.24.0")
    return run
