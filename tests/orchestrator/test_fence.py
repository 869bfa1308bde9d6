"""Bytes of hand-ins and compositions on a real repository, against the writes that were made under locks (LOCK-3)."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.domain.lock.fence import FencedWrite, PieceFences
from aegis_tui.domain.lock.region import blob_id
from aegis_tui.domain.piece.model import Piece
from aegis_tui.domain.review.finding import Finding
from aegis_tui.domain.run.events import RunFacts, RunOptions
from aegis_tui.domain.run.model import Run
from aegis_tui.orchestrator.integrate import Integrator

NAME = "table.txt"
LINES = "".join(f"{number}\n" for number in range(20))
MINE = LINES.replace("\n2\n", "\ntwo\n")
THEIRS = LINES.replace("\n17\n", "\nseventeen\n")
BOTH = MINE.replace("\n17\n", "\nseventeen\n")


class Bench:
    """A repository, and alpha at work on a branch of it."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder = folder
        self.git("init", "-q", "-b", "main", *settings)
        self.git("config", "user.name", "P")
        self.git("config", "user.email", "p@example.org")
        self.base = self.put(LINES)
        facts = RunFacts(workspace="k", base_oid=self.base, base_branch="main", started_unix=1)
        self.run = Run(run="run1", goal="g", options=RunOptions(), facts=facts, working_oid=self.base)
        self.run.pieces["alpha"] = Piece(name="alpha", spec_id="alpha", agents=["NATIVE-w01"])
        self.writes: list[FencedWrite] = []
        self.overtaken: dict[str, FencedWrite] = {}

    def git(self, *arguments: str) -> str:
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments], env=environ, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def put(self, text: str) -> str:
        (self.folder / NAME).write_bytes(text.encode())
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "m")
        return self.git("rev-parse", "HEAD")

    def on(self, branch: str, start: str) -> None:
        self.git("checkout", "-q", "-B", branch, start)

    def composed(self, text: str) -> str:
        """The working ref moves on."""
        self.on("working", self.run.working_oid)
        self.run.working_oid = self.put(text)
        return self.run.working_oid

    def git_id(self, text: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.folder), "hash-object", f"--path={NAME}", "--stdin"],
            input=text.encode(),
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    def wrote(self, before: str, after: str, token: int = 5) -> None:
        base, new = self.git_id(before), self.git_id(after)
        write = FencedWrite(seq=token, agent_id="NATIVE-w01", file=NAME, token=token, base_oid=base, new_oid=new)
        self.writes.append(write)

    def passed_by(self, token: int) -> None:
        self.overtaken[NAME] = FencedWrite(seq=token, agent_id="NATIVE-w02", file=NAME, token=token, new_oid="0" * 40)

    @property
    def fences(self) -> PieceFences:
        return PieceFences({NAME: tuple(self.writes)}, self.overtaken, (self.base,))

    def inspect(self, head: str) -> tuple[bool, list[Finding]]:
        """Whether the handed-in bytes answer to the last locked write, and what was found."""

        async def main() -> tuple[bool, list[Finding]]:
            integrator = Integrator(await open_repository(self.folder))
            found = await integrator.inspect(self.run, self.run.pieces["alpha"], head, self.fences)
            return self.writes[-1].new_oid in found["blobs"].get(NAME, ()), list(found["findings"])

        return asyncio.run(main())

    def stale(self, head: str) -> list[Finding]:
        async def main() -> list[Finding]:
            integrator = Integrator(await open_repository(self.folder))
            return await integrator.stale(self.run, head, self.fences)

        return asyncio.run(main())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_bytes_of_the_last_locked_write_answer_and_later_ones_do_not(bench: Bench) -> None:
    bench.wrote(LINES, MINE)
    bench.on("alpha", bench.base)
    assert bench.inspect(bench.put(MINE)) == (True, [])
    assert bench.inspect(bench.put(MINE + "later\n")) == (False, [])


def test_a_deleted_file_has_no_bytes_to_compare(bench: Bench) -> None:
    bench.wrote(LINES, MINE)
    bench.on("alpha", bench.base)
    bench.git("rm", "-q", NAME)
    (bench.folder / "other").write_text("1")
    bench.git("add", "-A")
    bench.git("commit", "-q", "-m", "m")
    assert bench.inspect(bench.git("rev-parse", "HEAD")) == (False, [])


def test_a_write_named_as_the_file_is_on_disk_answers_where_git_changes_line_ends(bench: Bench) -> None:
    (bench.folder / ".gitattributes").write_text("*.txt text eol=crlf\n")
    bench.on("alpha", bench.base)
    on_disk = MINE.replace("\n", "\r\n")
    named = blob_id(on_disk.encode())
    bench.writes.append(FencedWrite(seq=5, agent_id="NATIVE-w01", file=NAME, token=5, new_oid=named))
    head = bench.put(on_disk)
    assert bench.git("rev-parse", f"HEAD:{NAME}") != named
    assert bench.inspect(head)[0]


def test_a_repository_with_longer_ids_is_compared_by_either(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "--object-format=sha256")
    bench.wrote(LINES, MINE)
    bench.on("alpha", bench.base)
    head = bench.put(MINE)
    assert len(bench.writes[-1].new_oid) == 64 and bench.inspect(head)[0]
    named = blob_id(MINE.encode())
    bench.writes = [FencedWrite(seq=5, agent_id="NATIVE-w01", file=NAME, token=5, new_oid=named)]
    assert bench.inspect(head)[0]


def test_what_a_rebase_puts_together_answers_and_what_was_sneaked_in_does_not(bench: Bench) -> None:
    bench.wrote(LINES, MINE)
    bench.on("alpha", bench.base)
    bench.put(MINE)
    bench.composed(THEIRS)
    bench.git("checkout", "-q", "alpha")
    bench.git("rebase", "-q", "working")
    head = bench.git("rev-parse", "HEAD")
    assert (bench.folder / NAME).read_text() == BOTH
    assert bench.inspect(head) == (True, [])
    assert bench.inspect(bench.put(BOTH + "sneaked\n")) == (False, [])


def test_a_conflict_that_was_settled_under_a_new_lock_answers(bench: Bench) -> None:
    bench.wrote(LINES, MINE)
    theirs = LINES.replace("\n2\n", "\nzwei\n")
    settled = LINES.replace("\n2\n", "\ntwo\nzwei\n")
    bench.composed(theirs)
    bench.wrote(theirs.replace("zwei\n", "<<<\nzwei\n===\ntwo\n>>>\n"), settled, token=9)
    bench.on("alpha", bench.run.working_oid)
    assert bench.inspect(bench.put(settled)) == (True, [])


def test_a_merge_that_keeps_what_has_a_newer_token_is_composed(bench: Bench) -> None:
    bench.wrote(LINES, MINE)
    bench.on("alpha", bench.base)
    head = bench.put(MINE)
    bench.composed(THEIRS)
    bench.passed_by(9)
    assert bench.stale(head) == []
    assert bench.inspect(head) == (True, [])


def test_old_bytes_on_a_newer_base_are_stale_at_hand_in_and_at_composition(bench: Bench) -> None:
    bench.wrote(LINES, MINE)
    bench.composed(THEIRS)
    bench.passed_by(9)
    bench.on("alpha", bench.run.working_oid)
    head = bench.put(MINE)
    for found in (bench.stale(head), bench.inspect(head)[1]):
        (finding,) = found
        assert finding.file == NAME and "STALE: NATIVE-w02" in finding.msg and "token 9" in finding.msg


def test_an_id_that_a_client_made_up_is_never_given_to_git(bench: Bench) -> None:
    bench.writes.append(FencedWrite(seq=5, agent_id="NATIVE-w01", file=NAME, token=5, base_oid="-h", new_oid="--batch"))
    bench.composed(THEIRS)
    bench.on("alpha", bench.run.working_oid)
    assert bench.inspect(bench.put(BOTH)) == (True, [])
