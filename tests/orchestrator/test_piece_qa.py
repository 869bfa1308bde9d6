"""A submission counts as done when its own checks pass on its tree merged with what is merged (FLOW-7, FLOW-10).

Over ports in memory; the workers are played: each writes what its script says, and writes again when it is prompted.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.domain import command as commands
from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.domain.instance.commands import AgentRegister
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.message.events import MessageSent
from aegis_tui.domain.need import needs
from aegis_tui.domain.piece.commands import DiffSubmit
from aegis_tui.domain.piece.events import PieceTested
from aegis_tui.domain.run.model import Run
from aegis_tui.errors import GitError
from aegis_tui.hub.engine import Engine
from aegis_tui.orchestrator import reconcile
from aegis_tui.ports.program import ProgramResult
from tests.orchestrator.run_bench import CHECK, PASSED, Bench

Files = Mapping[str, str]
FAILED = "test_{0} ... FAIL\n\n" + "=" * 70 + "\nFAIL: test_{0} (tests.T.test_{0})\n" + "-" * 70 + "\nE: {0} {2}\n"
ENDED = f"{'-' * 70}\nRan 1 test in 0.001s\n\nFAILED (failures=1)\n"
SAME = "the same commit once more"


class Checked:
    """QA that says of each tree what fails on it, `test` or `test@file` for a trace with a file; it keeps the trees."""

    def __init__(self, bench: Bench, judge: Callable[[Files], list[str]]) -> None:
        self.bench, self.judge = bench, judge
        self.trees: list[tuple[tuple[str, str], ...]] = []

    async def run(self, argv: list[str], *, cwd: Path, **_: Any) -> ProgramResult:
        files = self.bench.repository.files(self.bench.repository.worktrees[cwd].base_oid)
        self.trees.append(tuple(sorted(files.items())))
        failing = self.judge(files)
        if not failing:
            return ProgramResult(0, PASSED, 0.1)
        told = [FAILED.format(*name.partition("@")) for name in failing]
        return ProgramResult(1, "".join(told) + ENDED, 0.1)


class Team(Bench):
    """Workers that write one text after the other to `src/PIECE/new.py`: the next one with each prompt.

    Args:
        folder: As for `Bench`.
        names: The pieces, one letter each.
        scripts: Piece -> the texts; the last one is repeated. A piece without an entry has `good`.
        judge: Takes the files of a tree; returns what fails on it.
        options: Of the run.
    """

    def __init__(self, folder: Path, names: str, scripts: Mapping[str, list[str]], judge: Any, **options: Any) -> None:
        features = [{"id": name, "title": name, "brief": name, "partition": [f"src/{name}/**"]} for name in names]
        super().__init__(folder, {"goal": "Some things", "features": features, "qa": {"commands": [CHECK]}}, **options)
        self.scripts = {name: list(scripts.get(name, ["good"])) for name in names}
        self.checked = Checked(self, judge)
        self.programs = self.checked  # type: ignore[assignment]  # a runner of its own
        self.waits: dict[str, Callable[[], bool]] = {}
        """Piece -> whether its reviewer may give the verdict now."""
        self._heard = 0
        self._asleep: list[Instance] = []

    async def play(self, engine: Engine) -> None:
        async for _ in engine.changes():
            for item in await engine.read(lambda workspace: [one.model_copy() for one in workspace.instances.alive()]):
                if item.phase == "launched" and item.agent_id not in self._seen:
                    self._seen.add(item.agent_id)
                    await engine.submit(AgentRegister(), Actor(item.agent_id, "instance"))
                    self._asleep += [item] if item.review_id else []
            for item in [one for one in self._asleep if self._may_judge(one)]:
                self._asleep.remove(item)
                await self._approve(engine, item)
            for event in self.log.written[self._heard :]:
                self._heard = event.seq
                if isinstance(event.data, MessageSent) and event.data.kind == "prompt":
                    to = event.data.to
                    item = await engine.read(lambda workspace: workspace.instances.by_id[to].model_copy())  # noqa: B023
                    if item.is_alive and not item.review_id:
                        await self._hand_in(engine, item)

    def _may_judge(self, item: Instance) -> bool:
        return self.waits.get(item.piece or "", lambda: True)()

    async def _approve(self, engine: Engine, item: Instance) -> None:
        verdict = {"type": "review:verdict", "review_id": item.review_id, "decision": "approve"}
        if await engine.read(lambda workspace: workspace.instances.by_id[item.agent_id].is_alive):
            await engine.submit(commands.parse_command(verdict), Actor(item.agent_id, "instance"))

    async def _hand_in(self, engine: Engine, item: Instance) -> None:
        script = self.scripts[item.piece or ""]
        text = script.pop(0) if len(script) > 1 else script[0]
        branch = item.branch or ""
        path = f"src/{item.piece}/new.py"
        if text != SAME:
            self.repository.change(branch, {path: f"{text} {len(self.log.written)}\n"})
        head = self.repository.refs[f"refs/heads/{branch}"]
        diff = DiffSubmit(spec_id=f"run1-{item.piece}", base_oid=item.base_oid or "", head_oid=head)
        await engine.submit(diff, Actor(item.agent_id, "instance"))

    def tests(self, piece: str) -> list[bool]:
        """Whether each test of a piece let it go on."""
        seen = [event.data for event in self.events("piece:tested")]
        return [data.ok for data in seen if isinstance(data, PieceTested) and data.piece == piece]

    def prompts(self, agent_id: str) -> list[str]:
        """What an instance was told after its task."""
        return self.told(agent_id)[1:]

    def told(self, agent_id: str) -> list[str]:
        sent = [event.data for event in self.events("message:sent")]
        return [data.text for data in sent if isinstance(data, MessageSent) and data.to == agent_id]

    def merged(self, piece: str) -> bool:
        return any(event.data.model_dump().get("piece") == piece for event in self.events("merge:applied"))


def bad(files: Files) -> list[str]:
    """What fails: the piece of each file that is bad."""
    return [path.split("/")[1] for path, text in sorted(files.items()) if text.startswith("bad")]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "FIRST_PAUSE_S", 0.001)


def test_a_worker_learns_what_its_piece_breaks_before_it_is_merged_and_repairs_it(tmp_path: Path) -> None:
    team = Team(tmp_path, "ab", {"b": ["bad", "good"]}, bad)
    ended = asyncio.run(team.run())
    assert ended.ok is True and ended.round == 0
    assert team.tests("b")[0] is False and team.tests("b")[-1] is True and False not in team.tests("a")
    assert len(ended.pieces["b"].agents) == 1, "the same conversation"
    (prompt,) = team.prompts("NATIVE-w02")
    assert "QA failed on b" in prompt and f"$ {CHECK}" in prompt and "E: b" in prompt
    (final,) = team.events("qa:finished")
    assert final.data.model_dump()["ok"] is True
    steps = [event.type for event in team.log.written if event.data.model_dump().get("piece") == "b"]
    assert steps.index("piece:tested") < steps.index("piece:reopened") < steps.index("merge:applied")


def test_a_tree_is_tested_once_and_the_whole_is_the_tree_of_the_last_piece(tmp_path: Path) -> None:
    team = Team(tmp_path, "abcd", {}, bad)
    ended = asyncio.run(team.run())
    assert ended.ok is True
    assert set(Counter(team.checked.trees).values()) == {1}
    assert len(team.checked.trees) <= 1 + 4 + 3 + 2 + 1, "the base, and each piece that is left after each merge"
    assert ended.qa is not None and ended.has_green(ended.qa.tree)


def test_one_worker_costs_no_more_checks_than_without_tests_of_its_piece(tmp_path: Path) -> None:
    for place, options in (("with", {}), ("without", {"piece_checks": False})):
        (tmp_path / place).mkdir()
        team = Team(tmp_path / place, "a", {}, bad, **options)
        assert asyncio.run(team.run()).ok is True
        assert len(team.checked.trees) == 2, "the base and the piece"
        assert bool(team.tests("a")) is (place == "with")


def test_a_piece_that_waits_for_its_review_is_tested_again_when_others_were_merged(tmp_path: Path) -> None:
    """What passes alone breaks with what is merged meanwhile: its worker is told, and the branch never breaks."""

    def clash(files: Files) -> list[str]:
        both = [files.get(f"src/{name}/new.py", "") for name in "ab"]
        return ["both"] if both[0] and both[1].startswith("old") else []

    team = Team(tmp_path, "ab", {"a": ["good"], "b": ["old", "new"]}, clash)
    team.waits = {"a": lambda: bool(team.tests("b")), "b": lambda: team.merged("a")}
    ended = asyncio.run(team.run())
    assert ended.ok is True and ended.round == 0
    assert team.tests("b") == [True, False, True]
    (prompt,) = team.prompts("NATIVE-w02")
    assert "E: both" in prompt and "git rebase aegis/run1/integration" in prompt


def test_pieces_that_only_pass_together_do_not_wait_for_each_other_for_ever(tmp_path: Path) -> None:
    def alone(files: Files) -> list[str]:
        there = sum(f"src/{name}/new.py" in files for name in "ab")
        return ["together"] if there == 1 else []

    team = Team(tmp_path, "ab", {"a": ["good", SAME], "b": ["good", SAME]}, alone)
    ended = asyncio.run(team.run())
    assert ended.ok is True and ended.qa is not None and ended.qa.ok
    assert "because it needs a piece that is not merged" in " ".join(
        event.data.reason for event in team.events("piece:tested") if isinstance(event.data, PieceTested)
    )


def test_what_fails_on_the_merged_pieces_already_is_not_held_against_the_next_one(tmp_path: Path) -> None:
    def broken_by_a(files: Files) -> list[str]:
        return ["a"] if "src/a/new.py" in files and "src/c/new.py" not in files else []

    team = Team(tmp_path, "abc", {"a": ["good", SAME]}, broken_by_a)
    team.waits = {name: lambda: team.merged("a") for name in "bc"}
    ended = asyncio.run(team.run())
    assert ended.ok is True
    assert team.tests("b")[-1] is True and not team.prompts("NATIVE-w02")


def test_a_merged_piece_whose_files_fail_with_the_next_one_goes_back_to_its_own_worker(tmp_path: Path) -> None:
    """The next one may not write there, so it is merged; the other's worker is told at once, not by the final QA."""

    def outdated(files: Files) -> list[str]:
        both = [files.get(f"src/{name}/new.py", "") for name in "ab"]
        return ["old@src/a/new.py"] if both[0].startswith("old") and both[1] else []

    team = Team(tmp_path, "abc", {"a": ["old", "new"]}, outdated)
    team.waits = {"b": lambda: team.merged("a"), "c": lambda: team.merged("b")}
    ended = asyncio.run(team.run())
    assert ended.ok is True and ended.round == 0
    (prompt,) = team.prompts("NATIVE-w01")
    assert "since b was merged, in files of a" in prompt and "E: old src/a/new.py" in prompt
    assert not team.prompts("NATIVE-w02") and not team.prompts("NATIVE-w03")
    assert [trace.because for trace in ended.pieces["a"].traces] == ["checks"]


@pytest.mark.parametrize("said", ["", "bash: no such command\n"])
def test_a_check_that_cannot_run_says_nothing_about_the_piece(tmp_path: Path, said: str) -> None:
    team = Team(tmp_path, "a", {}, bad)

    async def run(argv: list[str], **_: Any) -> ProgramResult:
        return ProgramResult(127, said, 0.1)

    team.checked.run = run  # type: ignore[method-assign]  # the same for every tree
    ended = asyncio.run(team.run())
    assert team.tests("a") == [True] and team.merged("a")
    assert ended.ok is False and ended.error is not None and ended.error["code"] == "qa_passed"


def test_a_piece_whose_checks_cannot_be_set_up_is_left_to_the_final_qa(tmp_path: Path) -> None:
    team = Team(tmp_path, "a", {}, bad)
    scratch = team.repository.add_scratch

    async def refuse(path: Path, oid: str) -> Any:
        if "piece" in path.name:
            raise GitError("the disk is gone", "look")
        return await scratch(path, oid)

    team.repository.add_scratch = refuse  # type: ignore[method-assign]  # for the tests of pieces only
    ended = asyncio.run(team.run())
    assert ended.ok is True
    (tested,) = team.events("piece:tested")
    assert isinstance(tested.data, PieceTested) and "the disk is gone" in tested.data.reason


def test_after_its_rounds_another_instance_gets_a_piece_with_every_trace(tmp_path: Path) -> None:
    team = Team(tmp_path, "ab", {"b": ["bad one", "bad two", "good"]}, bad, max_rounds=1)
    ended = asyncio.run(team.run())
    assert ended.ok is True
    piece = ended.pieces["b"]
    assert piece.agents == ["NATIVE-w02", "NATIVE-j01"] and piece.handed_over == ("NATIVE-w02",)
    assert (piece.rejections, piece.rounds) == (2, 0)
    first, second = piece.traces
    assert first.agent_id == second.agent_id == "NATIVE-w02" and first.head_oid != second.head_oid
    (planned,) = [event for event in team.events("instance:planned") if event.agent_id == "NATIVE-j01"]
    assert planned.data.model_dump()["base_oid"] == second.head_oid, "it begins where the other one stopped"
    brief = team.told("NATIVE-j01")[0]
    assert brief.count("E: b") == 2 and str(first.head_oid) in brief and str(second.head_oid) in brief
    kept = {name for name in team.repository.refs if name.startswith("refs/aegis/runs/run1/b")}
    assert {f"refs/aegis/runs/run1/b.{str(trace.head_oid)[:12]}" for trace in (first, second)} <= kept


@pytest.mark.parametrize(("handovers", "submissions"), [(0, 2), (1, 4), (2, 6)])
def test_nobody_tries_for_ever(tmp_path: Path, handovers: int, submissions: int) -> None:
    team = Team(tmp_path, "ab", {"b": ["bad"]}, bad, max_rounds=1, handovers=handovers)
    ended = asyncio.run(team.run())
    assert ended.ok is False and ended.error is not None and ended.error["code"] == "rounds"
    assert (
        len([event for event in team.events("specs.diff-submitted") if event.agent_id != "NATIVE-w01"]) == submissions
    )
    assert f"{submissions} submissions of b" in ended.error["message"]
    assert len([name for name in team.repository.refs if name.startswith("refs/aegis/runs/run1/b")]) == submissions


def watched(team: Team, act: Callable[[Engine], Any]) -> Run:
    async def main() -> Run:
        engine = team.open_engine()
        await engine.open()
        try:
            await team.start(engine)
            await team.go_on(engine, lambda run: any(piece.stuck for piece in run.pieces.values()))
            (need,) = await engine.read(needs)
            assert (need.kind, need.key) == ("piece", "b") and "QA failed on b" in need.words
            await act(engine)
            return await team.go_on(engine)
        finally:
            await engine.close()

    return asyncio.run(main())


def test_then_the_person_is_asked_and_their_advice_is_one_more_try(tmp_path: Path) -> None:
    script = ["bad"] * 4 + ["good"]
    team = Team(tmp_path, "ab", {"b": script}, bad, max_rounds=1, attended=True)

    async def advise(engine: Engine) -> None:
        retry = {"type": "piece:retry", "piece": "b", "text": "look at the other end"}
        await engine.submit(commands.parse_command(retry), THE_PERSON)

    ended = watched(team, advise)
    assert ended.ok is True
    assert "look at the other end" in team.prompts("NATIVE-j01")[-1]
    assert [event.data.model_dump()["piece"] for event in team.events("piece:stuck")] == ["b"]


def test_or_the_person_leaves_it_out(tmp_path: Path) -> None:
    team = Team(tmp_path, "ab", {"b": ["bad"]}, bad, max_rounds=1, attended=True)

    async def leave_out(engine: Engine) -> None:
        await engine.submit(commands.parse_command({"type": "merge:apply"}), THE_PERSON)

    ended = watched(team, leave_out)
    assert ended.ok is False and ended.commit is not None and ended.pieces["b"].left_out
    assert ended.pieces["b"].head_oid == team.repository.refs["refs/aegis/runs/run1/b"]


def test_a_hub_that_starts_again_in_a_test_runs_no_tree_twice(tmp_path: Path) -> None:
    team = Team(tmp_path, "abc", {"b": ["bad", "good"]}, bad)

    async def main() -> Run:
        engine = team.open_engine()
        await engine.open()
        try:
            await team.start(engine)
            await team.go_on(engine, lambda run: len(team.events("piece:tested")) == 1)
            await team.go_on(engine, lambda run: len(team.events("piece:tested")) >= 2)
            return await team.go_on(engine)
        finally:
            await engine.close()

    assert asyncio.run(main()).ok is True
    ended = [tree for tree, times in Counter(team.checked.trees).items() if times > 2]
    assert ended == []
