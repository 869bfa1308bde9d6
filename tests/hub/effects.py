"""The effects of a run, played through the engine instead of by the orchestrator."""

from __future__ import annotations

from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.core import THE_HUB, THE_PERSON
from aegis_tui.domain.ids import hash_token
from aegis_tui.domain.instance.commands import AgentRegister, InstanceMarkLaunched, InstanceMarkPrepared
from aegis_tui.domain.piece.commands import ConflictsObserved, MergeMarkApplied, PieceMarkChecked
from aegis_tui.domain.piece.events import Overlapping
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.qa.commands import QaMarkFinished
from aegis_tui.domain.run.commands import CompositionMarkChecked, RunMarkPrepared, RunStart
from aegis_tui.domain.run.events import RunFacts, RunOptions
from aegis_tui.hub.engine import Engine


class Run:
    """Plays the hub's effects on a run, through the engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.known: set[str] = set()

    async def mark(self, command: AnyCommand) -> None:
        await self.engine.submit(command, THE_HUB)

    async def start(self) -> None:
        facts = RunFacts(workspace="k", base_oid="0" * 40, base_branch="main", qa_commands=("pytest",))
        start = RunStart(goal="g", options=RunOptions(yes=True), run="run1", facts=facts)
        await self.engine.submit(start, THE_PERSON)
        await self.mark(RunMarkPrepared(run="run1"))

    async def bring_up(self, agent_id: str) -> str:
        token = f"token-of-{agent_id}"
        await self.mark(InstanceMarkPrepared(agent_id=agent_id, worktree="/w", token_hash=hash_token(token)))
        await self.mark(InstanceMarkLaunched(agent_id=agent_id, pane="%1", pid=1))
        actor = type(THE_HUB)(agent_id, "instance")
        await self.engine.submit(AgentRegister(), actor)
        self.known.add(agent_id)
        return token

    async def bring_up_reviewer(self) -> str:
        alive = await self.engine.read(lambda w: [i.agent_id for i in w.instances.alive() if i.role == "reviewer"])
        (fresh,) = set(alive) - self.known
        return await self.bring_up(fresh)

    async def observe_conflict(self) -> None:
        soft = Overlapping(a="alpha", b="beta", path="src/routes.py", kind="soft")
        await self.mark(ConflictsObserved(run="run1", overlaps=(soft,)))

    async def check(self, piece: str, head: str, path: str) -> None:
        await self.mark(PieceMarkChecked(run="run1", piece=piece, head_oid=head, files=(path,)))

    async def apply(self, piece: str, head: str) -> None:
        await self.mark(MergeMarkApplied(run="run1", piece=piece, head_oid=head, oid=f"m{piece}"))

    async def check_composition(self) -> None:
        files = ("src/a/x.py", "src/b/x.py")
        await self.mark(CompositionMarkChecked(run="run1", oid="mbeta", files=files))

    async def finish_qa(self) -> None:
        check = QaCheck(check="t", command="pytest", status="passed", ok=True, passed=3, failed=0)
        await self.mark(QaMarkFinished(run="run1", round=0, tree="T", oid="mbeta", checks=(check,)))
