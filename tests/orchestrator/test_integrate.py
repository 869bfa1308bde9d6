"""Pieces on a real repository: compared, composed, kept (GIT-2, GIT-5, PART-3)."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.domain.piece.model import Piece, PieceStatus
from aegis_tui.domain.run.events import RunFacts, RunOptions
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.run.rules import parse_design
from aegis_tui.orchestrator.integrate import Integrator

LINES = "".join(f"{number}\n" for number in range(20))
DESIGN = {
    "goal": "g",
    "features": [
        {"id": "alpha", "title": "A", "brief": "a", "partition": ["a/**"]},
        {"id": "beta", "title": "B", "brief": "b", "partition": ["b/**"]},
    ],
    "joint": ["table.txt"],
}


class Bench:
    """A repository with branches made by plain git, and a run over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "P")
        self.git("config", "user.email", "p@example.org")
        (folder / "table.txt").write_text(LINES)
        self.base = self.commit("start")
        design = parse_design(DESIGN)
        facts = RunFacts(workspace="k", base_oid=self.base, base_branch="main", started_unix=1)
        self.run = Run(run="run1", goal="g", options=RunOptions(), facts=facts, working_oid=self.base, design=design)
        for name in ("alpha", "beta"):
            self.run.pieces[name] = Piece(name=name, spec_id=name, agents=[f"NATIVE-{name}"])

    def git(self, *arguments: str) -> str:
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments], env=environ, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str, change: Callable[[Path], object]) -> str:
        self.git("checkout", "-q", "-b", name, self.base)
        change(self.folder)
        oid = self.commit(name)
        self.git("checkout", "-q", "main")
        piece = self.run.pieces[name]
        piece.head_oid, piece.status = oid, PieceStatus.SUBMITTED
        return oid

    def play(self, act: Callable[[Integrator], Coroutine[Any, Any, Any]]) -> Any:
        async def main() -> Any:
            integrator = Integrator(await open_repository(self.folder))
            await integrator.prepare_run(self.run)
            return await act(integrator)

        return asyncio.run(main())

    def inspect(self, name: str) -> dict[str, Any]:
        piece = self.run.pieces[name]
        found = self.play(lambda integrator: integrator.inspect(self.run, piece, piece.head_oid or ""))
        assert isinstance(found, dict)
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def write(name: str, text: str = "1") -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    return change


def link(name: str, target: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(target)

    return change


def replace(line: str, text: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / "table.txt"
        path.write_text(path.read_text().replace(f"\n{line}\n", f"\n{text}\n"))

    return change


def test_a_piece_is_compared_with_its_fork_not_with_what_others_composed(bench: Bench) -> None:
    bench.branch("alpha", write("a/x"))
    bench.branch("beta", write("b/한글"))
    alpha = bench.run.pieces["alpha"]
    oid, crossing, _ = bench.play(lambda it: it.compose(bench.run, alpha, alpha.head_oid or ""))
    bench.run.working_oid, alpha.applied_head = oid, alpha.head_oid
    assert crossing == []
    assert bench.inspect("beta")["files"] == ("b/한글",)


def test_the_same_lines_are_hot_and_distant_lines_are_soft(bench: Bench) -> None:
    bench.branch("alpha", replace("2", "two"))
    bench.branch("beta", replace("17", "seventeen"))
    found = bench.inspect("beta")
    assert [(item.a, item.b, item.kind) for item in found["overlaps"]] == [("alpha", "beta", "soft")]
    assert found["blocking"] == ()


def test_what_crosses_the_working_ref_blocks_with_blob_ids_and_hunks(bench: Bench) -> None:
    bench.branch("alpha", replace("2", "two"))
    bench.branch("beta", replace("2", "zwei"))
    alpha = bench.run.pieces["alpha"]
    oid, _, _ = bench.play(lambda it: it.compose(bench.run, alpha, alpha.head_oid or ""))
    bench.run.working_oid, alpha.applied_head, alpha.files = oid, alpha.head_oid, ("table.txt",)
    (blocking,) = bench.inspect("beta")["blocking"]
    assert (blocking.a, blocking.b, blocking.path, blocking.hunks) == ("alpha", "beta", "table.txt", 1)
    assert len({blocking.base, blocking.ours, blocking.theirs}) == 3
    beta = bench.run.pieces["beta"]
    none, crossing, _ = bench.play(lambda it: it.compose(bench.run, beta, beta.head_oid or ""))
    assert none is None and [item.path for item in crossing] == ["table.txt"]


def test_composing_again_after_a_kill_changes_nothing(bench: Bench) -> None:
    bench.branch("alpha", replace("2", "two"))
    alpha = bench.run.pieces["alpha"]
    first, _, _ = bench.play(lambda it: it.compose(bench.run, alpha, alpha.head_oid or ""))
    again, _, _ = bench.play(lambda it: it.compose(bench.run, alpha, alpha.head_oid or ""))
    assert first == again == bench.git("rev-parse", "aegis/run1/integration")


def test_a_link_out_of_the_repository_is_a_finding(bench: Bench) -> None:
    bench.branch("alpha", link("a/out", "../../secret"))
    (finding,) = bench.inspect("alpha")["findings"]
    assert finding.file == "a/out" and "../../secret" in finding.msg


def test_a_link_of_a_gigabyte_is_a_finding_and_not_read(bench: Bench) -> None:
    def change(folder: Path) -> None:
        (folder / "long").write_bytes(b"x" * 100_000)
        oid = bench.git("hash-object", "-w", "long")
        (folder / "long").unlink()
        bench.git("update-index", "--add", "--cacheinfo", f"120000,{oid},a/link")
        bench.git("commit", "-qm", "link")

    bench.git("checkout", "-q", "-b", "alpha")
    change(bench.folder)
    bench.run.pieces["alpha"].head_oid = bench.git("rev-parse", "alpha")
    (finding,) = bench.inspect("alpha")["findings"]
    assert finding.file == "a/link" and "cannot be checked out" in finding.msg


def test_a_name_that_no_file_system_takes_is_a_finding(bench: Bench) -> None:
    oid = bench.git("rev-parse", "main:table.txt")
    bench.git("checkout", "-q", "-b", "alpha")
    bench.git("update-index", "--add", "--cacheinfo", f"100644,{oid},a/{'n' * 256}")
    bench.git("commit", "-qm", "long")
    bench.run.pieces["alpha"].head_oid = bench.git("rev-parse", "alpha")
    (finding,) = bench.inspect("alpha")["findings"]
    assert "256 bytes" in finding.msg


def crossed_histories(bench: Bench) -> str:
    """A second commit of alpha that forks from the composed one in two places; git picks one that hides a change.

    In the common past of both places b/theirs is changed; one of them changes it back. So the merge takes the change
    for new, while compared with the other place there is none.
    """
    tree = bench.git("rev-parse", "main^{tree}")

    def commit(when: int, evil: bool, *parents: str, own: str = "") -> str:
        bench.git("read-tree", tree)
        for path, text in (("b/theirs", "evil" if evil else ""), ("a/own", own)):
            if text:
                (bench.folder / "text").write_text(text)
                oid = bench.git("hash-object", "-w", "text")
                bench.git("update-index", "--add", "--cacheinfo", f"100644,{oid},{path}")
        args = [item for parent in parents for item in ("-p", parent)]
        done = subprocess.run(
            ["git", "-C", str(bench.folder), "commit-tree", bench.git("write-tree"), *args, "-m", str(when)],
            env={**os.environ, "GIT_AUTHOR_DATE": f"@{when} +0000", "GIT_COMMITTER_DATE": f"@{when} +0000"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    past = commit(2_000_000_000, True, bench.base)
    hides, shows = commit(2_000_000_900, True, past), commit(2_000_000_001, False, past)
    first = commit(2_000_001_000, False, hides, shows, own="one")
    second = commit(2_000_001_001, True, hides, shows, own="one")
    (bench.folder / "text").unlink()
    alpha = bench.run.pieces["alpha"]
    alpha.head_oid, alpha.status = first, PieceStatus.SUBMITTED
    assert bench.inspect("alpha")["files"] == ("a/own",)
    oid, _, _ = bench.play(lambda it: it.compose(bench.run, alpha, first))
    bench.run.working_oid, alpha.applied_head = oid, first
    return second


@pytest.mark.boundary(
    layer="integration",
    tried="changing another agent's files through a history with several merge bases, where git reports one base and "
    "merges with another",
    refused="everything that the merge would change is checked, not only the piece's changes since its base",
)
def test_a_change_that_only_a_merge_shows_is_seen(bench: Bench) -> None:
    second = crossed_histories(bench)
    alpha = bench.run.pieces["alpha"]
    alpha.head_oid = second
    preview = bench.play(lambda it: it._repository.predict(bench.run.working_oid, second))
    changed = bench.git("diff", "--name-only", bench.run.working_oid, preview.tree).split()
    assert changed == ["b/theirs"], "the trick does not work with this git: find another"
    assert bench.inspect("alpha")["files"] == ("a/own", "b/theirs")


def test_a_merge_that_would_change_more_than_was_checked_is_not_made(bench: Bench) -> None:
    second = crossed_histories(bench)
    alpha = bench.run.pieces["alpha"]
    alpha.files = ("a/own",)
    (finding,) = bench.play(lambda it: it.beyond(bench.run, alpha, second))
    assert finding.file == "b/theirs"
    assert bench.play(lambda it: it.beyond(bench.run, alpha, alpha.applied_head or "")) == []


def test_a_commit_that_was_not_taken_in_is_sent_back_with_gits_reason(bench: Bench) -> None:
    head = bench.branch("alpha", write("a/x"))
    alpha = bench.run.pieces["alpha"]
    found = bench.play(lambda it: it.inspect(bench.run, alpha, head, refused="git index-pack failed: badDateOverflow"))
    assert [finding.type for finding in found["findings"]] == ["history"]
    assert "badDateOverflow" in found["findings"][0].msg
    gone = bench.play(lambda it: it.inspect(bench.run, alpha, "1" * 40))
    assert "there is no such commit" in gone["findings"][0].msg


def test_a_composition_without_one_of_its_pieces_is_told(bench: Bench) -> None:
    bench.branch("alpha", replace("2", "two"))
    bench.branch("beta", replace("17", "seventeen"))
    for piece in bench.run.pieces.values():
        piece.applied_head = piece.head_oid
    alpha = bench.run.pieces["alpha"]
    oid, _, _ = bench.play(lambda it: it.compose(bench.run, alpha, alpha.head_oid or ""))
    bench.run.working_oid = oid
    found = bench.play(lambda it: it.check_composition(bench.run, oid))
    assert [item.msg for item in found["findings"]] == ["beta is missing from the merged tree"]
