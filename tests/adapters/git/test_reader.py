"""One `git cat-file` for many questions: what it sees, what it survives, and that it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from aegis_tui.adapters.git import reader as module
from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.reader import NoAnswerError, ObjectReader
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.errors import GitError
from tests.adapters.git.conftest import Shell

T = TypeVar("T")


@pytest.fixture
def runner(repo: Path) -> GitRunner:
    return GitRunner(git_dir=repo / ".git", cwd=repo)


def children() -> set[int]:
    """The processes that this one has started and that have not been waited for."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def ask(runner: GitRunner, work: Callable[[ObjectReader], Awaitable[T]]) -> T:
    """What `work` returns; afterwards no process of it is left."""
    before = children()

    async def main() -> T:
        return await work(ObjectReader(runner))

    result = asyncio.run(main())
    assert children() <= before
    return result


def test_one_process_answers_many_questions_and_sees_what_is_written_meanwhile(
    runner: GitRunner, repo: Path, git: Shell
) -> None:
    async def work(reader: ObjectReader) -> None:
        (first,) = await reader.facts("HEAD^{commit}")
        assert first is not None and first.oid == git(repo, "rev-parse", "HEAD")
        started = children()
        (repo / "new file").write_bytes(b"a\nb\0" * 50_000)
        git(repo, "add", ".")
        git(repo, "commit", "-qm", "more")
        git(repo, "gc", "--quiet", "--prune=now")
        head, blob, missing, ambiguous = await reader.facts("HEAD", "HEAD:new file", "refs/heads/none", "nothing 12")
        assert head is not None and head.oid == git(repo, "rev-parse", "HEAD") and head.kind == "commit"
        assert blob is not None and (blob.kind, blob.size) == ("blob", 200_000)
        assert missing is None and ambiguous is None
        many = await reader.contents(*[blob.oid, "0" * 40] * 40)
        assert many[0::2] == [b"a\nb\0" * 50_000] * 40 and many[1::2] == [None] * 40
        assert children() == started

    ask(runner, work)


@pytest.mark.parametrize("name", ["", "two\nlines", "nul\0", "half of a pair \ud800"])
def test_a_name_that_cannot_be_asked_for_is_refused(runner: GitRunner, name: str) -> None:
    with pytest.raises(NoAnswerError):
        ask(runner, lambda reader: reader.facts("HEAD", name))


def test_a_killed_process_is_followed_by_another(runner: GitRunner) -> None:
    async def work(reader: ObjectReader) -> None:
        before = children()
        await reader.facts("HEAD")
        (mine,) = children() - before
        os.kill(mine, signal.SIGSTOP)
        asked = asyncio.ensure_future(reader.facts("HEAD"))
        await asyncio.sleep(0.05)
        os.kill(mine, signal.SIGKILL)
        with contextlib.suppress(NoAnswerError):
            await asked
        assert (await reader.facts("HEAD"))[0] is not None

    ask(runner, work)


def test_a_cancelled_question_leaves_no_answer_for_the_next_one(runner: GitRunner, repo: Path, git: Shell) -> None:
    (repo / "large").write_bytes(os.urandom(4_000_000))
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "more")

    async def work(reader: ObjectReader) -> None:
        (large,) = await reader.facts("HEAD:large")
        assert large is not None
        for _ in range(5):
            asked = asyncio.ensure_future(reader.contents(large.oid))
            await asyncio.sleep(0.002)
            asked.cancel()
            (head,) = await reader.facts("HEAD")
            assert head is not None and head.kind == "commit"

    ask(runner, work)


def test_many_at_once_each_get_their_own_answer(runner: GitRunner, repo: Path, git: Shell) -> None:
    for number in range(20):
        git(repo, "branch", f"b{number}")
    git(repo, "commit", "-q", "--allow-empty", "-m", "later")

    async def work(reader: ObjectReader) -> None:
        names = ["HEAD", *(f"refs/heads/b{number}" for number in range(20)), "none"] * 10
        answers = await asyncio.gather(*(reader.facts(name) for name in names))
        head, before = git(repo, "rev-parse", "HEAD"), git(repo, "rev-parse", "HEAD^")
        expected = {"HEAD": head, "none": None}
        got = [answer[0].oid if answer[0] is not None else None for answer in answers]
        assert got == [expected.get(name, before) for name in names]

    ask(runner, work)


def test_an_idle_process_ends_and_the_next_question_starts_another(
    runner: GitRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.05)

    async def work(reader: ObjectReader) -> None:
        before = children()
        await reader.facts("HEAD")
        async with asyncio.timeout(20):
            while children() > before:  # noqa: ASYNC110  # a process that ends cannot set an event
                await asyncio.sleep(0.01)
        assert (await reader.facts("HEAD"))[0] is not None

    ask(runner, work)


def test_the_same_reader_works_in_another_event_loop(runner: GitRunner) -> None:
    reader = ObjectReader(runner)
    for _ in range(2):
        assert asyncio.run(reader.facts("HEAD"))[0] is not None


def test_without_a_repository_the_reason_is_git_s(tmp_path: Path) -> None:
    objects = Objects(GitRunner(git_dir=tmp_path / "none", cwd=tmp_path))
    assert asyncio.run(objects.resolve("HEAD")) is None
    with pytest.raises(GitError, match="not a git repository"):
        asyncio.run(objects.read_blob("HEAD:a"))
    with pytest.raises(GitError, match="not a git repository"):
        asyncio.run(objects.read_blobs(["0" * 40], limit=10, total=10))


def test_a_blob_over_the_limit_is_refused_and_a_tree_is_no_blob(runner: GitRunner, repo: Path, git: Shell) -> None:
    (repo / "large").write_bytes(b"x" * 1000)
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "more")
    objects = Objects(runner)
    assert asyncio.run(objects.read_blob("HEAD:large", limit=1000)) == b"x" * 1000
    with pytest.raises(GitError) as refused:
        asyncio.run(objects.read_blob("HEAD:large", limit=999))
    assert refused.value.code == "git.output"
    assert asyncio.run(objects.find_blob("HEAD:none")) is None
    assert asyncio.run(objects.find_blob("HEAD^{tree}")) is None
