"""Saved work is listed, shown, written out and deleted; whether it is merged is asked of its content (GIT-1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.adapters.git.rescues import GitRescues
from aegis_tui.application.rescue import Rescues, Retention
from aegis_tui.errors import Conflict, GitError, UsageError
from aegis_tui.ports.repository import RescueRef, Worktree, WorktreeSpec
from aegis_tui.ports.rescues import RescuedFiles, RescuedWork

Shell = Any
DAY = 86_400


@pytest.fixture
def saved(
    repo: Path,
    agent: Shell,
    spec_for: Callable[..., WorktreeSpec],
    add: Callable[..., list[Worktree]],
    remove: Callable[..., RescueRef | None],
) -> RescueRef:
    """Work with a commit, a changed, a new, a staged and an ignored file."""
    spec = spec_for("w01")
    add(repo, spec)
    (spec.path / "src/a.py").write_text("committed\n")
    agent(spec.path, "commit", "-qam", "work")
    (spec.path / "src/b.py").write_text("staged\n")
    agent(spec.path, "add", "-A")
    (spec.path / "src/b.py").write_text("changed\n")
    (spec.path / "new 파일.txt").write_text("new\n")
    (spec.path / "x.log").write_text("ignored\n")
    found = remove(repo, spec.path)
    assert found is not None
    return found


def ask(repo: Path, act: Callable[[GitRescues], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        return await act((await open_repository(repo)).rescues)

    return asyncio.run(run())


def only(repo: Path) -> RescuedWork:
    (work,) = ask(repo, lambda rescues: rescues.list_all())
    assert isinstance(work, RescuedWork)
    return work


def test_it_is_listed_with_run_instance_and_size(repo: Path, saved: RescueRef) -> None:
    work = only(repo)
    assert (work.ref, work.oid, work.run, work.instance) == (saved.ref, saved.oid, "r1", "w01")
    assert work.size_bytes > 0 and work.saved_unix > 1_700_000_000 and not work.is_merged


def test_its_files_are_told_apart(repo: Path, saved: RescueRef) -> None:
    files = ask(repo, _files)
    assert files == RescuedFiles(
        changed=(("A", "new 파일.txt"), ("M", "src/a.py"), ("M", "src/b.py")),
        ignored=("x.log",),
        staged=("new 파일.txt", "src/b.py"),
        not_saved=(),
    )


async def _files(rescues: GitRescues) -> RescuedFiles:
    return await rescues.files_of((await rescues.list_all())[0])


def test_its_diff_starts_where_the_work_started(repo: Path, saved: RescueRef) -> None:
    work = only(repo)
    text = ask(repo, lambda rescues: rescues.diff_of(work))
    assert "+committed" in text and "+changed" in text and "+new" in text


def test_all_its_files_are_written_out_and_nothing_else_changes(
    repo: Path, git: Shell, saved: RescueRef, tmp_path: Path
) -> None:
    before, work = git(repo, "status", "--porcelain"), only(repo)
    folder = tmp_path / "out" / "here"
    ask(repo, lambda rescues: rescues.write_out(work, folder))
    assert (folder / "src/b.py").read_text() == "changed\n" and (folder / "x.log").read_text() == "ignored\n"
    assert (folder / "README.md").read_text() == "shop\n"
    assert git(repo, "status", "--porcelain") == before and git(repo, "diff", "--cached", "--stat") == ""


def test_a_link_in_saved_work_leads_no_file_out_of_the_folder(
    repo: Path,
    git: Shell,
    spec_for: Callable[..., WorktreeSpec],
    add: Callable[..., list[Worktree]],
    remove: Callable[..., RescueRef | None],
    tmp_path: Path,
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    spec = spec_for("w01")
    add(repo, spec)
    (spec.path / "logs").symlink_to(outside)
    remove(repo, spec.path)
    evil = git(repo, "hash-object", "-w", "README.md")
    tree = git(repo, "rev-parse", "refs/aegis/rescue/r1/w01/1^{tree}")
    index = {"GIT_INDEX_FILE": str(tmp_path / "index")}
    shell = type(git)({**git.env, **index})
    shell(repo, "update-index", "--add", "--cacheinfo", f"100644,{evil},logs/pwned")
    beside = git(repo, "commit-tree", shell(repo, "write-tree"), "-m", "ignored")
    oid = git(repo, "commit-tree", tree, "-p", "refs/aegis/rescue/r1/w01/1^1", "-p", beside, "-m", "Rescue")
    git(repo, "update-ref", "refs/aegis/rescue/r1/w01/1", oid)
    work = only(repo)
    ask(repo, lambda rescues: rescues.write_out(work, tmp_path / "out"))
    assert list(outside.iterdir()) == []


def test_a_branch_is_made_of_it_once(repo: Path, git: Shell, saved: RescueRef) -> None:
    work = only(repo)
    ask(repo, lambda rescues: rescues.make_branch(work, "kept/it"))
    assert git(repo, "rev-parse", "kept/it") == saved.oid
    with pytest.raises(Conflict):
        ask(repo, lambda rescues: rescues.make_branch(work, "kept/it"))
    with pytest.raises(GitError):
        ask(repo, lambda rescues: rescues.make_branch(work, "-d"))


def test_it_is_merged_when_a_squash_has_its_content(
    repo: Path,
    git: Shell,
    spec_for: Callable[..., WorktreeSpec],
    add: Callable[..., list[Worktree]],
    remove: Callable[..., RescueRef | None],
) -> None:
    spec = spec_for("w01")
    add(repo, spec)
    (spec.path / "src/a.py").write_text("mine\n")
    (spec.path / "src/b.py").unlink()
    remove(repo, spec.path)
    assert not only(repo).is_merged
    (repo / "src/a.py").write_text("mine\n")
    (repo / "other").write_text("more of others\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "squash without the deletion")
    assert not only(repo).is_merged
    git(repo, "rm", "-q", "src/b.py")
    git(repo, "commit", "-qm", "and with it")
    assert only(repo).is_merged


def test_ignored_files_are_never_taken_for_merged(repo: Path, git: Shell, saved: RescueRef) -> None:
    git(repo, "checkout", "-q", saved.oid, "--", ".")
    git(repo, "commit", "-qam", "all of it")
    assert not only(repo).is_merged


class Kept:
    """A store of works in memory."""

    def __init__(self, *works: RescuedWork) -> None:
        self.works = list(works)

    async def list_all(self) -> tuple[RescuedWork, ...]:
        return tuple(self.works)

    async def delete(self, work: RescuedWork) -> None:
        self.works.remove(work)


def work(name: str, *, days: float, mb: int = 1, merged: bool = False) -> RescuedWork:
    ref = f"refs/aegis/rescue/run1/{name}/1"
    return RescuedWork(ref, name, "run1", name, int(1000 * DAY - days * DAY), mb << 20, merged)


@pytest.mark.parametrize(
    ("retention", "names"),
    [
        (Retention(90, 14, 1 << 40), ["old", "merged"]),
        (Retention(0, 14, 1 << 40), ["merged"]),
        (Retention(0, 10_000, 1 << 40), []),
        (Retention(0, 10_000, 5 << 20), ["merged", "fresh"]),
        (Retention(0, 10_000, 9 << 20), ["merged"]),
    ],
)
def test_what_is_due_is_old_or_merged_and_never_unmerged_for_want_of_space(
    retention: Retention, names: list[str]
) -> None:
    store = Kept(
        work("old", days=100, mb=2),
        work("merged", days=20, mb=4, merged=True),
        work("young", days=5, mb=2),
        work("fresh", days=1, mb=4, merged=True),
    )
    rescues = Rescues(store, lambda: 1000 * DAY)  # type: ignore[arg-type]
    assert [item.oid for item in asyncio.run(rescues.due(retention))] == names
    warning = asyncio.run(rescues.tidy(retention))
    assert {item.oid for item in store.works} == {"old", "merged", "young", "fresh"} - set(names)
    assert bool(warning) is (sum(item.size_bytes for item in store.works) > retention.budget_bytes)


def test_it_is_found_by_its_short_name_and_deleted(repo: Path, git: Shell, saved: RescueRef) -> None:
    async def run() -> None:
        rescues = Rescues((await open_repository(repo)).rescues)
        found = await rescues.find("r1/w01/1")
        with pytest.raises(UsageError):
            await rescues.find("r1/w02/1")
        await rescues.delete([found])

    asyncio.run(run())
    assert git(repo, "for-each-ref", "refs/aegis/rescue") == ""
