"""A conflict that comes again is resolved as before, if the piece's checks pass on the result (GIT-3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from aegis_tui.adapters.git.repository import GitRepository, open_repository
from aegis_tui.adapters.git.rerere import RecordedResolutions
from aegis_tui.domain.piece.commands import PieceMarkTested
from aegis_tui.domain.piece.events import PieceTested
from aegis_tui.domain.piece.feedback_fold import note_tested
from aegis_tui.domain.piece.model import PieceConflict, PieceStatus
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.orchestrator.integrate import ComposedPiece, Integrator
from aegis_tui.orchestrator.lockfile_maker import LockfileMaker
from aegis_tui.orchestrator.piece_qa import PieceQa
from aegis_tui.orchestrator.proposal import Proposer
from tests.orchestrator.test_integrate import Bench as Pieces
from tests.orchestrator.test_integrate import replace, write

WORKING = "refs/heads/aegis/run1/integration"
PASSED = QaCheck(check="1 make", command="make", status="passed", ok=True)
FAILED = QaCheck(check="1 make", command="make", status="failed", ok=False, new_failures=("t",))


class Bench(Pieces):
    """Two pieces, a record of resolutions beside the repository, and QA that fails on each tree with `bad`."""

    def __init__(self, folder: Path) -> None:
        (folder / "repository").mkdir()
        super().__init__(folder / "repository")
        self.record = folder / "rerere.git"
        self.tested: list[str] = []
        facts = self.run.facts.model_copy(update={"qa_commands": ("make",)})
        self.run = self.run.model_copy(update={"facts": facts})

    async def test(self, run: Any, oid: str, **_: Any) -> tuple[tuple[QaCheck, ...], tuple[str, ...]]:
        """As `Quality` gives it."""
        self.tested.append(self.git("rev-parse", f"{oid}^{{tree}}"))
        return ((FAILED,) if "bad" in self.git("show", f"{oid}:table.txt") else (PASSED,)), ()

    def act(self, step: Callable[[Integrator, PieceQa], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            repository: GitRepository = await open_repository(self.folder)
            resolutions = RecordedResolutions(self.record)
            proposer = Proposer(
                repository=repository,
                composing=repository.batches,
                resolutions=resolutions,
                lockfiles=await self.lockfiles(),
            )
            integrator = Integrator(repository, proposer)
            await integrator.prepare_run(self.run)
            quality = cast(Any, self)
            checks = PieceQa(
                repository=repository,
                composing=repository.batches,
                integrator=integrator,
                quality=quality,
                proposer=proposer,
            )
            return await step(integrator, checks)

        return asyncio.run(main())

    async def lockfiles(self) -> LockfileMaker | None:
        """Nothing makes lockfiles again."""
        return None

    def compose(self, name: str) -> ComposedPiece:
        piece = self.run.pieces[name]
        head = piece.head_oid or ""
        done: ComposedPiece = self.act(lambda integrator, _: integrator.compose(self.run, piece, head))
        if done.oid is not None:
            self.run.working_oid, piece.applied_head, piece.status = done.oid, head, PieceStatus.APPLIED
        return done

    def check(self, name: str) -> dict[str, Any]:
        piece = self.run.pieces[name]
        found: dict[str, Any] = self.act(
            lambda integrator, _: integrator.inspect(self.run, piece, piece.head_oid or "")
        )
        return found

    def test_piece(self, name: str) -> PieceMarkTested:
        """Run the piece's own checks, and record them as the core does."""
        piece, onto = self.run.pieces[name], self.run.working_oid
        table = PartitionTable()
        command: PieceMarkTested = self.act(
            lambda _, checks: checks.test(self.run, piece, piece.head_oid or "", onto=onto, table=table)
        )
        fields = command.model_dump(include={"run", "piece", "head_oid", "onto_oid", "tree"})
        note_tested(
            piece, PieceTested(**fields, ok=not command.overlaps, checks=command.checks, proposed=command.proposed)
        )
        return command

    def resolve_once(self, resolved: str = "five and fünf") -> str:
        """Merge alpha, send beta back for its conflict with it, merge what its worker makes of it; then forget all.

        Returns:
            The commit with which beta conflicted.
        """
        self.branch("alpha", replace("5", "five"))
        self.compose("alpha")
        first = self.branch("beta", replace("5", "fünf"))
        beta = self.run.pieces["beta"]
        with_alpha, checked = self.run.working_oid, self.check("beta")
        assert [item.path for item in checked["blocking"]] == ["table.txt"]
        self.run.conflicts.update(_conflicts(checked["blocking"]))
        beta.rejections = 1
        self.git("branch", "-qm", "beta", "beta-1")
        self.git("checkout", "-q", "-b", "beta", with_alpha)
        replace("five", resolved)(self.folder)
        beta.head_oid = self.commit("beta again")
        self.git("checkout", "-q", "main")
        assert self.compose("beta").oid is not None
        self.git("update-ref", WORKING, with_alpha)
        self.run.working_oid, self.run.conflicts = with_alpha, {}
        beta.head_oid, beta.applied_head, beta.status, beta.rejections = first, None, PieceStatus.SUBMITTED, 0
        return first


def _conflicts(overlaps: Any) -> dict[str, Any]:
    return {item.path: PieceConflict(conflict_id=item.path, **item.model_dump()) for item in overlaps}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_conflict_that_comes_again_is_merged_as_before_once_the_checks_pass_on_it(bench: Bench) -> None:
    bench.resolve_once()
    checked = bench.check("beta")
    assert checked["blocking"] == () and [item.kind for item in checked["overlaps"]] == ["hot"]
    tested = bench.test_piece("beta")
    (file,) = tested.proposed
    assert (file.path, file.label, file.strategy) == ("table.txt", "unproven", "rerere")
    done = bench.compose("beta")
    assert done.files == tested.proposed
    assert bench.git("rev-parse", f"{done.oid}^{{tree}}") == tested.tree == bench.tested[-1]
    assert "\nfive and fünf\n" in bench.git("show", f"{WORKING}:table.txt")
    assert "Merged-file: table.txt (by rerere, unproven)" in bench.git("log", "-1", "--format=%B", WORKING)
    assert bench.git("rev-list", "--parents", "-1", WORKING).split()[2] == bench.run.pieces["beta"].head_oid


def test_a_proposal_that_fails_the_checks_leaves_the_conflict(bench: Bench) -> None:
    bench.resolve_once("bad")
    tested = bench.test_piece("beta")
    assert tested.proposed == () and tested.tree == ""
    (conflict,) = tested.overlaps
    assert conflict.kind == "hot" and "a merge was tried, and the checks did not pass: make" in conflict.reason
    before = bench.run.working_oid
    done = bench.compose("beta")
    assert done.oid is None and [item.path for item in done.conflicts] == ["table.txt"]
    assert bench.git("rev-parse", WORKING) == before


def test_a_proposal_is_not_merged_onto_another_commit_than_it_was_tested_on(bench: Bench) -> None:
    bench.resolve_once()
    bench.test_piece("beta")
    bench.git("checkout", "-q", "-b", "more", bench.run.working_oid)
    replace("15", "fifteen")(bench.folder)
    bench.run.working_oid = bench.commit("more")
    bench.git("checkout", "-q", "main")
    assert bench.compose("beta").oid is None
    assert bench.test_piece("beta").proposed and bench.compose("beta").oid


def test_without_checks_of_pieces_the_conflict_stands(bench: Bench) -> None:
    bench.resolve_once()
    bench.run.options = bench.run.options.model_copy(update={"piece_checks": False})
    assert [item.path for item in bench.check("beta")["blocking"]] == ["table.txt"]
    assert bench.test_piece("beta").overlaps


def test_a_piece_with_a_conflict_that_is_not_known_is_not_merged_in_part(bench: Bench) -> None:
    bench.resolve_once()
    bench.git("checkout", "-q", "-b", "more", bench.run.working_oid)
    write("a/x", "theirs\n")(bench.folder)
    bench.run.working_oid = bench.commit("more")
    bench.git("checkout", "-q", "beta-1")
    write("a/x", "mine\n")(bench.folder)
    bench.run.pieces["beta"].head_oid = bench.commit("also there")
    bench.git("checkout", "-q", "main")
    assert {item.path for item in bench.check("beta")["blocking"]} == {"a/x", "table.txt"}
    assert bench.test_piece("beta").proposed == ()


def test_what_a_worker_did_on_other_content_is_no_resolution(bench: Bench) -> None:
    bench.branch("alpha", replace("5", "five"))
    bench.compose("alpha")
    first = bench.branch("beta", replace("5", "fünf"))
    beta = bench.run.pieces["beta"]
    bench.run.conflicts.update(_conflicts(bench.check("beta")["blocking"]))
    beta.rejections = 1
    with_alpha = bench.run.working_oid
    bench.git("checkout", "-q", "-b", "more", with_alpha)
    replace("15", "fifteen")(bench.folder)
    bench.run.working_oid = bench.commit("more")
    bench.git("update-ref", WORKING, bench.run.working_oid)
    bench.git("branch", "-qm", "beta", "beta-1")
    bench.git("checkout", "-q", "-b", "beta")
    replace("five", "both")(bench.folder)
    beta.head_oid = bench.commit("beta again")
    bench.git("checkout", "-q", "main")
    assert bench.compose("beta").oid
    bench.git("update-ref", WORKING, with_alpha)
    bench.run.working_oid, beta.head_oid = with_alpha, first
    assert bench.check("beta")["blocking"], "the line `fifteen` is not part of a resolution"
