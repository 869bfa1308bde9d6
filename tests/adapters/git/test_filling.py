"""Large worktrees: usable at once, completed in the background, and the files of untouched ones used again (PERF-6)."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git import spare
from aegis_tui.adapters.git.cone import cone_of, cone_patterns
from aegis_tui.adapters.git.repository import GitRepository, open_repository
from aegis_tui.adapters.git.spare import CONE
from aegis_tui.domain.filling import FILLING_NAME
from aegis_tui.ports.repository import RescueName, RescueRef, Worktree, WorktreeSpec

Shell = Any
MakeSpec = Callable[..., WorktreeSpec]
Add = Callable[..., list[Worktree]]
Remove = Callable[..., RescueRef | None]
AWAY = Path("web/page.html")


@pytest.fixture(autouse=True)
def _every_repository_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "LARGE_FILES", 3)


@pytest.fixture
def partial(repo: Path, spec_for: MakeSpec) -> Worktree:
    """A worktree whose hub has ended while files were missing."""
    tree = add_first(repo, spec_for("w01"), "src/**")
    assert not (tree.path / AWAY).exists()
    return tree


def add_first(repo: Path, spec: WorktreeSpec, *first: str) -> Worktree:
    async def run() -> Worktree:
        repository = await open_repository(repo)
        tree = await repository.add_worktree(dataclasses.replace(spec, first=first))
        await repository.stop_filling()
        return tree

    return asyncio.run(run())


def fill(repo: Path, path: Path) -> None:
    async def run() -> None:
        repository = await open_repository(repo)
        await repository.continue_filling()
        await repository.completed(path)

    asyncio.run(run())


async def appears(path: Path) -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(path.exists):  # noqa: ASYNC110 - a file system has no event for it
            await asyncio.sleep(0.01)


def test_the_partition_is_there_at_once_and_nothing_looks_deleted(partial: Worktree, git: Shell) -> None:
    assert (partial.path / "src/a.py").is_file()
    assert (partial.path / "README.md").is_file()
    assert not partial.is_whole
    assert git(partial.path, "status", "--porcelain") == ""


def test_it_is_completed_in_the_background(repo: Path, git: Shell, spec_for: MakeSpec) -> None:
    spec = dataclasses.replace(spec_for("w01"), first=("src/**",))

    async def run() -> Worktree:
        repository = await open_repository(repo)
        tree = await repository.add_worktree(spec)
        await repository.completed(spec.path)
        return tree

    tree = asyncio.run(run())
    assert git(spec.path, "ls-files", "-t").count("S ") == 0
    assert git(spec.path, "status", "--porcelain", "--ignored") == ""
    assert (spec.path / "한글 폴더/파일 이름.txt").read_text() == "안녕\n"
    assert (spec.path / "run.bat").read_bytes() == b"echo\r\n"
    assert (spec.path / "link").readlink() == Path("src/a.py")
    assert not (tree.admin_dir / FILLING_NAME).exists()
    assert [path.name for path in spec.path.parent.iterdir()] == ["w01"]


def test_what_a_killed_hub_left_incomplete_is_completed_by_the_next(repo: Path, git: Shell, partial: Worktree) -> None:
    fill(repo, partial.path)
    assert (partial.path / AWAY).read_text() == "<p>\n"
    assert git(partial.path, "status", "--porcelain") == ""
    assert git(partial.path, "ls-files", "-t").count("S ") == 0


def test_a_snapshot_of_an_incomplete_worktree_has_every_file(repo: Path, git: Shell, partial: Worktree) -> None:
    (partial.path / "src/a.py").write_text("changed\n")

    async def run() -> str:
        return await (await open_repository(repo)).snapshot_tree(partial.path)

    tree = asyncio.run(run())
    assert git(repo, "diff-tree", "-r", "--name-status", "HEAD", tree) == "M\tsrc/a.py"


def test_a_commit_in_an_incomplete_worktree_deletes_nothing_and_is_kept(
    repo: Path, agent: Shell, git: Shell, partial: Worktree
) -> None:
    (partial.path / "src/a.py").write_text("changed\n")
    agent(partial.path, "add", "--all", "--sparse")
    agent(partial.path, "commit", "-qm", "Change")
    assert git(partial.path, "show", "--format=", "--name-status", "HEAD") == "M\tsrc/a.py"
    (partial.path / "src/b.py").write_text("staged\n")
    agent(partial.path, "add", "src/b.py")
    fill(repo, partial.path)
    assert (partial.path / AWAY).is_file()
    assert git(partial.path, "status", "--porcelain") == "M  src/b.py"


def test_an_index_that_the_agent_changed_is_completed_in_a_bare_repository_too(
    repo: Path, tmp_path: Path, agent: Shell, git: Shell, spec_for: MakeSpec
) -> None:
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", str(repo), str(bare))
    tree = add_first(bare, spec_for("w01"), "src/**")
    (tree.path / "src/b.py").write_text("staged\n")
    agent(tree.path, "add", "src/b.py")
    fill(bare, tree.path)
    assert not (tree.admin_dir / FILLING_NAME).exists()
    assert git(tree.path, "status", "--porcelain") == "M  src/b.py"
    assert git(tree.path, "ls-files", "-t").count("S ") == 0


def test_a_file_that_was_deleted_after_it_came_is_seen_as_deleted(repo: Path, git: Shell, partial: Worktree) -> None:
    fill(repo, partial.path)
    (partial.path / AWAY).unlink()
    assert git(partial.path, "status", "--porcelain") == f" D {AWAY}"


def test_a_file_that_the_agent_wrote_in_the_place_of_a_missing_one_stays(
    repo: Path, git: Shell, partial: Worktree
) -> None:
    (partial.path / AWAY).parent.mkdir(exist_ok=True)
    (partial.path / AWAY).write_text("mine\n")
    fill(repo, partial.path)
    assert (partial.path / AWAY).read_text() == "mine\n"
    assert git(partial.path, "status", "--porcelain") == f" M {AWAY}"


def test_a_file_that_the_agent_deleted_meanwhile_does_not_come_back(repo: Path, git: Shell, partial: Worktree) -> None:
    (partial.path / "src/a.py").unlink()
    fill(repo, partial.path)
    assert (partial.path / AWAY).is_file()
    assert git(partial.path, "status", "--porcelain") == " D src/a.py"


def test_no_link_of_the_agent_is_followed(repo: Path, tmp_path: Path, partial: Worktree) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (partial.path / "web").rmdir()
    (partial.path / "web").symlink_to(outside)
    fill(repo, partial.path)
    assert list(outside.iterdir()) == []
    assert (partial.path / "web").is_symlink()
    assert (partial.path / "한글 폴더/파일 이름.txt").is_file()


def test_the_index_waits_until_git_has_written_it(repo: Path, git: Shell, partial: Worktree) -> None:
    lock = partial.admin_dir / "index.lock"
    lock.write_bytes(b"")

    async def run() -> None:
        repository = await open_repository(repo)
        await repository.continue_filling()
        await appears(partial.path / AWAY)
        await asyncio.sleep(0.2)
        assert (partial.admin_dir / FILLING_NAME).exists()
        lock.unlink()
        await repository.completed(partial.path)

    asyncio.run(run())
    assert git(partial.path, "status", "--porcelain") == ""
    assert not (partial.admin_dir / FILLING_NAME).exists()


def test_a_lock_that_git_never_removes_delays_no_removal(repo: Path, git: Shell, partial: Worktree) -> None:
    (partial.admin_dir / "index.lock").write_bytes(b"")

    async def run() -> RescueRef | None:
        repository = await open_repository(repo)
        await repository.continue_filling()
        await appears(partial.path / AWAY)
        (partial.path / AWAY).write_text("changed\n")
        saved = repository.remove_worktree(partial.path, rescue=RescueName("r1", "w01"))
        return await asyncio.wait_for(saved, 30)

    rescue = asyncio.run(run())
    assert rescue is not None
    assert git(repo, "diff-tree", "-r", "--name-status", "HEAD", rescue.tree) == f"M\t{AWAY}"


def test_an_instance_with_a_git_folder_of_its_own_sees_all_files_too(
    repo: Path, tmp_path: Path, git: Shell, partial: Worktree
) -> None:
    private = tmp_path / "private"

    async def run() -> None:
        repository = await open_repository(repo)
        await repository.git_mounts(partial, private=private)
        assert (private / "admin" / FILLING_NAME).exists()
        await repository.continue_filling()
        await repository.completed(partial.path)

    asyncio.run(run())
    for folder in (private / "admin", partial.admin_dir):
        assert not (folder / FILLING_NAME).exists()
        listed = git(repo, f"--git-dir={partial.admin_dir}", "-c", "core.bare=false", "ls-files", "-t")
        assert "S " not in listed
    assert (private / "admin" / "index").read_bytes() == (partial.admin_dir / "index").read_bytes()


def test_removal_saves_the_work_of_an_incomplete_worktree_and_no_deletion(
    repo: Path, git: Shell, partial: Worktree, remove: Remove
) -> None:
    (partial.path / "src/new.py").write_text("new\n")
    rescue = remove(repo, partial.path)
    assert rescue is not None
    assert git(repo, "diff-tree", "-r", "--name-status", "HEAD", rescue.tree) == "A\tsrc/new.py"
    assert not partial.path.exists()


def test_a_file_behind_a_bit_that_hides_its_changes_is_saved(
    repo: Path, git: Shell, spec_for: MakeSpec, add: Add, remove: Remove
) -> None:
    [tree] = add(repo, spec_for("w01"))
    git(tree.path, "update-index", "--skip-worktree", "src/a.py")
    (tree.path / "src/a.py").write_text("hidden\n")
    rescue = remove(repo, tree.path)
    assert rescue is not None
    assert git(repo, "show", f"{rescue.tree}:src/a.py") == "hidden"


async def _removed_for_reuse(repository: GitRepository, repo: Path, tree: Worktree, private: Path) -> None:
    await repository.git_mounts(tree, private=private)
    await repository.remove_worktree(tree.path, rescue=RescueName("r1", "r01"), reuse=True)


def test_the_files_of_an_untouched_worktree_become_those_of_the_next(
    repo: Path, tmp_path: Path, git: Shell, spec_for: MakeSpec
) -> None:
    base = git(repo, "rev-parse", "HEAD")
    git(repo, "switch", "-q", "-c", "aegis/r1/other")
    (repo / "src/a.py").write_text("other\n")
    git(repo, "rm", "-q", "CHANGES")
    git(repo, "commit", "-qam", "Other")
    other = git(repo, "rev-parse", "HEAD")
    git(repo, "switch", "-q", "main")
    first, second = (spec_for(name, base=oid) for name, oid in (("r01", base), ("r02", other)))

    async def run() -> tuple[int, Worktree]:
        repository = await open_repository(repo)
        await repository.add_worktree(spec_for("w01"))
        tree = await repository.add_worktree(first)
        inode = (tree.path / AWAY).stat().st_ino
        await _removed_for_reuse(repository, repo, tree, tmp_path / "private")
        return inode, await repository.add_worktree(dataclasses.replace(second, first=()))

    inode, tree = asyncio.run(run())
    assert tree.is_whole
    assert (tree.path / AWAY).stat().st_ino == inode
    assert (tree.path / "src/a.py").read_text() == "other\n"
    assert git(tree.path, "status", "--porcelain", "--ignored") == ""
    assert git(tree.path, "rev-parse", "HEAD") == other
    assert sorted(path.name for path in tree.path.parent.iterdir()) == ["r02", "w01"]


@pytest.mark.parametrize("name", ["src/a.py", "new.log", "src/empty/"])
def test_the_files_of_a_worktree_in_which_something_changed_are_not_used_again(
    repo: Path, tmp_path: Path, spec_for: MakeSpec, name: str
) -> None:
    async def run() -> tuple[int, int]:
        repository = await open_repository(repo)
        await repository.add_worktree(spec_for("w01"))
        tree = await repository.add_worktree(spec_for("r01"))
        inode = (tree.path / AWAY).stat().st_ino
        place = tree.path / name
        if name.endswith("/"):
            place.mkdir()
        else:
            before = place.stat() if place.exists() else None
            place.write_text("b" + "".join(f"a{line}\n" for line in range(20))[1:])
            if before is not None:
                os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
        with (tree.path / AWAY).open("rb"):  # so that no new file gets its inode
            await _removed_for_reuse(repository, repo, tree, tmp_path / "private")
            tree = await repository.add_worktree(dataclasses.replace(spec_for("r02"), first=()))
            await repository.completed(tree.path)
            return inode, (tree.path / AWAY).stat().st_ino

    one, other = asyncio.run(run())
    assert one != other


@pytest.mark.parametrize("name", ["", "src/a.py", "new.log", "src/empty/"])
def test_the_files_of_checks_are_used_again_as_they_were_checked_out(
    repo: Path, tmp_path: Path, git: Shell, spec_for: MakeSpec, name: str
) -> None:
    oid, path = git(repo, "rev-parse", "HEAD"), tmp_path / "scratch"

    async def run() -> tuple[int, Worktree]:
        repository = await open_repository(repo)
        await repository.add_worktree(spec_for("w01"))
        await repository.add_scratch(path, oid)
        if name.endswith("/"):
            (path / name).mkdir()
        elif name:
            (path / name).write_text("changed\n")
        with (path / AWAY).open("rb") as first:  # so that no new file gets its inode
            await repository.remove_worktree(path, rescue=None, reuse=True)
            return os.fstat(first.fileno()).st_ino, await repository.add_scratch(path, oid)

    inode, tree = asyncio.run(run())
    assert (tree.path / AWAY).stat().st_ino == inode
    assert git(tree.path, "status", "--porcelain", "--ignored") == "" and not (tree.path / "src/empty").exists()


def test_git_needs_no_second_look_at_the_files_of_a_completed_worktree(repo: Path, partial: Worktree) -> None:
    """Else `git add` would store them again, in a sandbox in which it cannot tell that the repository has them."""
    fill(repo, partial.path)
    raw = (partial.admin_dir / "index").read_bytes()
    assert int((partial.path / AWAY).stat().st_mtime) < int((partial.admin_dir / "index").stat().st_mtime)
    at = raw.index(b"TREE")
    count, _, _ = raw[at + 9 :].partition(b" ")
    files = [path for path in partial.path.rglob("*") if not path.is_dir() or path.is_symlink()]
    assert int(count) == len(files) - 1, "all but `.git`: the ids of all folders are known"


@pytest.mark.parametrize(
    ("globs", "folders"),
    [
        ((), ()),
        (("src/**",), ("src",)),
        (("src/a.py", "web/page.html"), ("src", "web")),
        (("a/b/c/**", "a/b/*.py", "a/bc/x"), ("a/b", "a/bc")),
        (("README.md", "*.md"), ()),
        (("src/{a,b}/x.py",), ("src",)),
        (("src/[ab]/x.py", "src/\\[id\\]/x"), ("src",)),
        (('"latin\\351/x.txt"',), ("latin\udce9",)),
        (("**/*.py",), None),
        (("**",), None),
        (("*/x.py",), None),
        (("src/**", "{a,b}/x"), None),
    ],
)
def test_the_folders_of_globs(globs: tuple[str, ...], folders: tuple[str, ...] | None) -> None:
    assert cone_of(globs) == folders


@pytest.mark.parametrize("folder", ["src", "한글 폴더", "app/[id]", "a*b/c?", "back\\slash", "-dash", "#hash", "a/b/c"])
def test_a_checkout_of_a_folder_has_its_files_and_those_above(
    repo: Path, tmp_path: Path, git: Shell, folder: str
) -> None:
    names = [f"{folder}/deep/x.txt", f"{folder}/x.txt", "away/x.txt", "a/beside.txt", "a/other/x.txt"]
    for name in names:
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text("x\n")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "More")
    tree = tmp_path / "tree"
    git(repo, "worktree", "add", "-q", "--no-checkout", str(tree))
    patterns = repo / ".git/worktrees/tree/info/sparse-checkout"
    patterns.parent.mkdir()
    patterns.write_bytes(cone_patterns([folder]))
    git(tree, *CONE, "read-tree", "-u", "--reset", "HEAD")
    there = {name for name in names if (tree / name).is_file()}
    assert there == {*names[:2], *(["a/beside.txt"] if folder.startswith("a/") else [])}
    assert (tree / "README.md").is_file()
