"""Pieces of a real repository that are taken out of what was merged (FLOW-7, GIT-5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from aegis_tui.adapters.git.repository import GitRepository, open_repository
from aegis_tui.domain.composition.commands import CulpritsMarkFound, MergeMarkRebuilt
from aegis_tui.domain.piece.model import Piece, PieceStatus
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.qa.events import QaFinished
from aegis_tui.domain.run.events import Stage
from aegis_tui.orchestrator.integrate import Integrator
from aegis_tui.orchestrator.recompose import Recomposer
from tests.orchestrator.test_integrate import Bench as Pieces
from tests.orchestrator.test_integrate import replace, write

FAILED = QaCheck(check="1 make", command="make", status="failed", ok=False, new_failures=("t",))
WORKING = "refs/heads/aegis/run1/integration"


class Bench(Pieces):
    """Three pieces, and QA that fails on each tree with a line that is bad."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.run.pieces["gamma"] = Piece(name="gamma", spec_id="gamma", agents=["NATIVE-gamma"])
        self.run.stage, self.run.is_splitting = Stage.FINAL_QA, True
        self.run.qa = QaFinished(run="run1", round=0, tree="t", oid="o", ok=False, checks=(FAILED,))
        self.checked: list[str] = []

    async def is_wanted(self) -> bool:
        """Nobody cancels the run."""
        return True

    async def verdict(self, run: Any, oid: str) -> tuple[QaCheck, ...]:
        """As `Quality` gives it."""
        tree = self.git("rev-parse", f"{oid}^{{tree}}")
        self.checked.append(tree)
        bad = "bad" in self.git("grep", "-h", "-e", "bad", "-e", "1", tree)
        return (FAILED,) if bad else (FAILED.model_copy(update={"ok": True, "status": "passed", "new_failures": ()}),)

    def merge(self, name: str, change: Callable[[Path], object], *, on: str | None = None) -> None:
        """A piece that is made on a commit, by default the base, and merged onto the working ref."""
        if self.git("branch", "--list", name):
            self.git("branch", "-qD", name)
        before, self.base = self.base, on or self.base
        head = self.branch(name, change)
        self.base = before
        piece = self.run.pieces[name]
        oid, crossing, _ = self.play(lambda it: it.compose(self.run, piece, head))
        assert crossing == []
        self.run.working_oid, piece.applied_head, piece.status = oid, head, PieceStatus.APPLIED
        piece.merged = (*piece.merged, head)
        changed = self.git("diff", "--name-only", f"{head}~1", head).split("\n")
        piece.files = tuple(sorted({*piece.files, *changed}))

    def recompose(self, act: Callable[[Recomposer], Any]) -> Any:
        async def main() -> Any:
            repository: GitRepository = await open_repository(self.folder)
            await Integrator(repository).prepare_run(self.run)
            quality = cast(Any, self)
            return await act(Recomposer(repository=repository, composing=repository.batches, quality=quality))

        return asyncio.run(main())

    def leave_out(self, name: str) -> MergeMarkRebuilt:
        self.run.pieces[name].left_out = "bad"
        rebuilt: MergeMarkRebuilt = self.recompose(lambda it: it.rebuild(self.run))
        return rebuilt

    def culprits(self) -> dict[str, str]:
        found: CulpritsMarkFound = self.recompose(lambda it: it.find_culprits(self.run, self.is_wanted))
        return {item.piece: item.reason for item in found.culprits}

    def tree(self, revision: str) -> str:
        return self.git("rev-parse", f"{revision}^{{tree}}")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_bad_piece_is_named_and_what_is_left_is_the_tree_without_it(bench: Bench) -> None:
    bench.merge("alpha", write("a/x"))
    bench.merge("beta", write("b/y", "bad\n"))
    bench.merge("gamma", replace("12", "twelve"))
    assert list(bench.culprits()) == ["beta"]
    assert len(bench.checked) == len(set(bench.checked)) <= 3
    rebuilt = bench.leave_out("beta")
    assert rebuilt.refused == () and rebuilt.instead_of == bench.run.working_oid
    assert bench.tree(WORKING) == bench.tree(rebuilt.oid) == bench.checked[-1], "QA ran on exactly this tree"
    for name in ("alpha", "gamma"):
        bench.git("merge-base", "--is-ancestor", bench.run.pieces[name].merged[0], rebuilt.oid)


def test_composing_anew_after_a_kill_gives_the_same_commit(bench: Bench) -> None:
    bench.merge("alpha", write("a/x"))
    bench.merge("beta", write("b/y", "bad\n"))
    first = bench.leave_out("beta")
    assert bench.leave_out("beta") == first
    bench.git("update-ref", WORKING, bench.run.working_oid)
    assert bench.leave_out("beta") == first
    assert bench.git("rev-parse", WORKING) == first.oid


def test_a_piece_that_changes_the_lines_of_a_bad_one_goes_with_it(bench: Bench) -> None:
    bench.merge("alpha", replace("5", "bad"))
    bench.merge("beta", replace("6", "six"), on=bench.run.working_oid)
    bench.merge("gamma", replace("16", "sixteen"))
    reasons = bench.culprits()
    assert reasons["beta"] == "it builds on alpha, which is left out" and set(reasons) == {"alpha", "beta"}


def test_a_piece_that_was_merged_twice_goes_as_a_whole_or_stays_as_it_is_now(bench: Bench) -> None:
    bench.merge("alpha", write("a/x", "first\n"))
    bench.merge("beta", write("b/y"))
    bench.merge("alpha", write("a/x", "second\n"), on=bench.run.working_oid)
    bench.run.pieces["beta"].left_out = "bad"
    without_beta = bench.recompose(lambda it: it.rebuild(bench.run))
    assert without_beta.refused == ()
    assert bench.git("ls-tree", "-r", "--name-only", without_beta.oid).split() == ["a/x", "table.txt"]
    assert bench.git("show", f"{without_beta.oid}:a/x") == "second"
    bench.run.pieces["beta"].left_out = ""
    without_alpha = bench.leave_out("alpha")
    assert bench.git("ls-tree", "-r", "--name-only", without_alpha.oid).split() == ["b/y", "table.txt"]


def test_a_piece_that_cannot_be_composed_without_a_bad_one_is_told_and_the_ref_stays(bench: Bench) -> None:
    bench.merge("alpha", replace("5", "five"))
    bench.merge("beta", replace("6", "six"), on=bench.run.working_oid)
    before = bench.run.working_oid
    rebuilt = bench.leave_out("alpha")
    (refused,) = rebuilt.refused
    assert refused.piece == "beta" and "the same lines as alpha" in refused.reason and "table.txt" in refused.reason
    assert bench.git("rev-parse", WORKING) == before
