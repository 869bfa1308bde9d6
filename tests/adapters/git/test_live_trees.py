from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from aegis_tui.adapters.git import live_trees, worktree_reading
from aegis_tui.adapters.git.live_trees import GitLiveTrees
from aegis_tui.adapters.git.repository import GitRepository, open_repository
from aegis_tui.adapters.git.worktree_reading import FileNow, read_file_now
from aegis_tui.ports.merge import MergePreview
from aegis_tui.ports.repository import WorktreeSpec
from tests.adapters.git.conftest import Shell
from tests.adapters.git.odd_changes import ODD

T = TypeVar("T")
SpecFor = Callable[..., WorktreeSpec]


class Lab:
    """Two workers' worktrees of a real repository, and what is told of them."""

    def __init__(self, repository: GitRepository, trees: GitLiveTrees, specs: tuple[WorktreeSpec, ...]) -> None:
        self.repository, self.trees, self.specs = repository, trees, specs
        self.one, self.two = (spec.path for spec in specs[:2])
        self.head = specs[0].base_oid

    async def look(self, root: Path, *paths: str, head: str | None = None, whole: bool = False) -> str:
        commit = await self.trees.look(root, head or self.head, paths, whole=whole)
        assert commit is not None
        return commit

    async def compare(self, ours: str, theirs: str) -> MergePreview:
        (preview,) = await self.trees.compare([(ours, theirs)])
        assert preview is not None
        return preview

    async def tree(self, commit: str) -> str:
        opened = self.trees._opened
        assert opened is not None
        return opened.store.commit(commit).tree


Play = Callable[[Lab], Awaitable[Any]]


@pytest.fixture
def lab(repo: Path, spec_for: SpecFor) -> Callable[[Play], Any]:
    """Plays something in two worktrees, and sees that nothing was written to them or the repository."""

    async def run(play: Play) -> Any:
        repository = await open_repository(repo)
        trees = GitLiveTrees(repository.common_dir)
        specs = (spec_for("w01"), spec_for("w02"))
        for spec in specs:
            await repository.add_worktree(spec)
        try:
            return await play(Lab(repository, trees, specs))
        finally:
            await trees.close()

    return lambda play: asyncio.run(run(play))


def stored(repo: Path) -> set[str]:
    return {str(path.relative_to(repo)) for path in (repo / ".git" / "objects").rglob("*") if path.is_file()}


def test_lines_that_two_dirty_trees_change_are_hot_and_other_places_are_soft(lab: Any, repo: Path, git: Shell) -> None:
    async def play(it: Lab) -> None:
        lines = (it.one / "src/a.py").read_text().splitlines(keepends=True)
        before = stored(repo)
        for root, number, word in ((it.one, 3, "one\n"), (it.two, 3, "two\n")):
            changed = [*lines[:number], word, *lines[number + 1 :]]
            (root / "src/a.py").write_text("".join(changed))
        mine, other = await it.look(it.one, "src/a.py"), await it.look(it.two, "src/a.py")
        preview = await it.compare(mine, other)
        assert [item.path for item in preview.conflicts] == ["src/a.py"]
        (conflict,) = preview.conflicts
        assert conflict.hunks == 1 and "one\n||||||| " in conflict.text and "a3\n=======\ntwo\n" in conflict.text
        assert not preview.clean and preview.soft == ()
        (it.two / "src/a.py").write_text("".join([*lines[:17], "two\n", *lines[18:]]))
        preview = await it.compare(mine, await it.look(it.two, "src/a.py"))
        assert preview.clean and preview.soft == ("src/a.py",)
        (it.two / "src/a.py").write_text("".join(lines))
        preview = await it.compare(mine, await it.look(it.two, "src/a.py"))
        assert preview.clean and preview.both_changed == ()
        assert stored(repo) == before
        assert git(it.one, "diff", "--cached") == ""

    lab(play)


@pytest.mark.parametrize("change", ODD, ids=lambda change: change.__name__)
def test_a_snapshot_has_the_tree_that_git_would_store(lab: Any, change: Callable[[Path], list[str]]) -> None:
    async def play(it: Lab) -> None:
        commit = await it.look(it.one, *change(it.one))
        assert await it.tree(commit) == await it.repository.snapshot_tree(it.one)

    lab(play)


@pytest.mark.parametrize("change", ODD, ids=lambda change: change.__name__)
def test_a_search_finds_what_no_event_has_told(lab: Any, change: Callable[[Path], list[str]]) -> None:
    async def play(it: Lab) -> None:
        change(it.one)
        commit = await it.look(it.one, whole=True)
        assert await it.tree(commit) == await it.repository.snapshot_tree(it.one)

    lab(play)


@pytest.mark.parametrize("seed", range(6))
def test_random_changes_give_the_trees_and_merges_of_git(lab: Any, git: Shell, seed: int) -> None:
    async def play(it: Lab) -> None:
        chance = random.Random(seed)
        for _ in range(4):
            commits = []
            for root in (it.one, it.two):
                touched = {name for _ in range(chance.randrange(5)) for name in change_something(root, chance)}
                commits.append(await it.look(root, *sorted(touched)))
                assert await it.tree(commits[-1]) == await it.repository.snapshot_tree(root)
            real = [await it.repository.snapshot_commit(root) for root in (it.one, it.two)]
            expected, preview = await it.repository.predict(real[0], real[1]), await it.compare(commits[0], commits[1])
            assert preview.clean == expected.clean and preview.both_changed == expected.both_changed
            shape = [(item.path, item.base, item.ours, item.theirs, item.hunks) for item in expected.conflicts]
            assert [(item.path, item.base, item.ours, item.theirs, item.hunks) for item in preview.conflicts] == shape

    lab(play)


def change_something(root: Path, chance: random.Random) -> list[str]:
    """Change one or two files, and return their paths."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink() and path.name != ".git")
    path = chance.choice(files)
    name = str(path.relative_to(root))
    match chance.randrange(6):
        case 0:
            path.unlink()
            return [name]
        case 1:
            target = root / "src" / f"moved{chance.randrange(4)}.py"
            replaced = [str(target.relative_to(root))]
            target.parent.mkdir(exist_ok=True)
            path.rename(target)
            return [name, *replaced]
        case 2:
            path.chmod(0o755 if chance.randrange(2) else 0o644)
            return [name]
        case 3:
            path.write_bytes(bytes(chance.randrange(256) for _ in range(40)))
            return [name]
        case _:
            lines = path.read_bytes().splitlines(keepends=True) or [b"\n"]
            lines[chance.randrange(len(lines))] = b"changed %d\n" % chance.randrange(9)
            path.write_bytes(b"".join(lines))
            return [name]


def test_nothing_that_an_agent_writes_is_started_or_followed(lab: Any, git: Shell, tmp_path: Path) -> None:
    mark, secret = tmp_path / "started", tmp_path / "secret.txt"
    secret.write_text("secret\n")

    async def play(it: Lab) -> None:
        for name in ("filter.evil.clean", "filter.evil.smudge", "merge.evil.driver", "core.hooksPath"):
            git(it.repository.root, "config", name, f"touch {mark}")
        for root in (it.one, it.two):
            (root / ".gitattributes").write_text("* filter=evil merge=evil\n")
            (root / "src/a.py").write_text(f"{root.name}\n")
            (root / "src/stolen.py").symlink_to(secret)
            (root / "outside").symlink_to(tmp_path)
            os.mkfifo(root / "src/pipe")
        paths = (".gitattributes", "src/a.py", "src/stolen.py", "src/pipe", "outside/secret.txt", "../w02/x", ".git")
        mine, other = await it.look(it.one, *paths), await it.look(it.two, *paths)
        assert [item.path for item in (await it.compare(mine, other)).conflicts] == ["src/a.py"]
        opened = it.trees._opened
        assert opened is not None
        names = opened.store.tree(opened.store.tree(await it.tree(mine))[b"src"].oid)
        assert set(names) == {b"a.py", b"b.py", b"stolen.py"} and names[b"stolen.py"].mode == b"120000"
        assert not mark.exists()

    lab(play)


def test_a_huge_file_is_not_read_but_its_change_is_known(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worktree_reading, "MAX_FILE_BYTES", 1000)

    async def play(it: Lab) -> None:
        (it.one / "src/a.py").write_text("x" * 5000)
        (it.two / "src/a.py").write_text("y" * 5000)
        mine, other = await it.look(it.one, "src/a.py"), await it.look(it.two, "src/a.py")
        (conflict,) = (await it.compare(mine, other)).conflicts
        assert (conflict.path, conflict.hunks, conflict.text) == ("src/a.py", 0, "")

    lab(play)


def test_work_on_the_newest_integration_branch_is_compared_with_it(lab: Any, git: Shell, repo: Path) -> None:
    async def play(it: Lab) -> None:
        (it.one / "src/a.py").write_text("one\n")
        git(it.one, "commit", "-qam", "One")
        merged = git(it.one, "rev-parse", "HEAD")
        (it.two / "src/a.py").write_text("two\n")
        other = await it.look(it.two, "src/a.py")
        assert [item.path for item in (await it.compare(merged, other)).conflicts] == ["src/a.py"]
        git(it.two, "checkout", "-q", "src/a.py")
        git(it.two, "reset", "-q", "--hard", merged)
        (it.two / "src/a.py").write_text("one\ntwo\n")
        other = await it.look(it.two, "src/a.py", head=merged)
        preview = await it.compare(merged, other)
        assert preview.clean and preview.both_changed == ()

    lab(play)


def test_work_that_others_have_merged_is_not_that_of_a_worktree_based_on_it(lab: Any, git: Shell) -> None:
    async def play(it: Lab) -> None:
        (it.one / "src/a.py").write_text("one\n")
        git(it.one, "commit", "-qam", "One")
        merged = git(it.one, "rev-parse", "HEAD")
        (it.one / "src/b.py").write_text("one\n")
        (it.two / "src/a.py").write_text("two\n")
        mine, other = await it.look(it.one, "src/b.py", head=merged), await it.look(it.two, "src/a.py")
        found = await it.trees.compare([(mine, other), (merged, other)], merged)
        assert [[item.path for item in preview.conflicts] for preview in found if preview] == [[], ["src/a.py"]]
        (it.one / "src/a.py").write_text("one more\n")
        found = await it.trees.compare([(await it.look(it.one, "src/a.py", head=merged), other)], merged)
        assert [[item.path for item in preview.conflicts] for preview in found if preview] == [["src/a.py"]]

    lab(play)


def test_a_worktree_in_the_middle_of_a_git_command_is_looked_at_later(
    lab: Any, monkeypatch: pytest.MonkeyPatch, git: Shell
) -> None:
    async def play(it: Lab) -> None:
        first = await it.look(it.one)
        (it.one / "src/a.py").write_text("one\n")
        lock = Path(git(it.one, "rev-parse", "--absolute-git-dir")) / "index.lock"
        lock.touch()
        assert await it.trees.look(it.one, it.head, ["src/a.py"]) is None
        lock.unlink()
        second = await it.look(it.one)
        assert second != first
        assert await it.tree(second) == await it.repository.snapshot_tree(it.one)
        lock.touch()
        monkeypatch.setattr(live_trees, "MAX_BUSY_S", 0.0)
        (it.one / "src/a.py").write_text("on\n")
        assert await it.look(it.one, "src/a.py") != second
        lock.unlink()

    lab(play)


def test_a_worktree_whose_head_has_moved_on_waits_for_the_new_head(lab: Any, git: Shell) -> None:
    async def play(it: Lab) -> None:
        (it.one / "src/a.py").write_text("one\n")
        git(it.one, "commit", "-qam", "One")
        assert await it.trees.look(it.one, it.head, ["src/a.py"]) is None
        head = git(it.one, "rev-parse", "HEAD")
        assert await it.tree(await it.look(it.one, head=head)) == git(it.one, "rev-parse", "HEAD^{tree}")

    lab(play)


def test_a_worktree_that_is_removed_is_no_loss_of_its_files(lab: Any) -> None:
    async def play(it: Lab) -> None:
        (it.one / "src/a.py").write_text("one\n")
        before = await it.look(it.one, "src/a.py")
        aside = it.one.with_name("aside")
        it.one.rename(aside)
        assert await it.trees.look(it.one, it.head, ["src/a.py"]) is None
        it.one.mkdir()
        (it.one / "src").mkdir()
        aside.rename(it.one.with_name("gone"))
        assert (await it.compare(before, it.head)).clean

    lab(play)


def test_a_full_store_is_begun_again_with_all_that_is_not_committed(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(it: Lab) -> None:
        (it.one / "src/a.py").write_text("one\n")
        (it.two / "src/a.py").write_text("two\n")
        commits = [await it.look(root, "src/a.py") for root in (it.one, it.two)]
        monkeypatch.setattr(live_trees, "MAX_STORED_BYTES", 1)
        assert [await it.look(root) for root in (it.one, it.two)] == commits
        monkeypatch.setattr(live_trees, "MAX_STORED_BYTES", 1 << 30)
        again = [await it.look(root) for root in (it.one, it.two)]
        assert len((await it.compare(again[0], again[1])).conflicts) == 1

    lab(play)


def test_a_pair_that_cannot_be_compared_does_not_keep_the_others(lab: Any) -> None:
    async def play(it: Lab) -> None:
        (it.one / "src/a.py").write_text("one\n")
        (it.two / "src/a.py").write_text("two\n")
        mine, other = await it.look(it.one, "src/a.py"), await it.look(it.two, "src/a.py")
        found = await it.trees.compare([("1" * 40, other), (mine, other)])
        assert found[0] is None and found[1] is not None and len(found[1].conflicts) == 1

    lab(play)


def test_a_submodule_stays_as_it_is_whatever_is_done_in_it(lab: Any, git: Shell, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    git(inner, "commit", "-q", "--allow-empty", "-m", "Inner")

    async def play(it: Lab) -> None:
        git(it.one, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "src/sub")
        git(it.one, "-c", "core.hooksPath=/dev/null", "commit", "-qm", "Add")
        head = git(it.one, "rev-parse", "HEAD")
        (it.one / "src/sub/new.txt").write_text("x\n")
        git(it.one / "src/sub", "commit", "-q", "--allow-empty", "-m", "More")
        (it.one / "src/a.py").write_text("one\n")
        commit = await it.look(it.one, "src/a.py", head=head, whole=True)
        names = git(it.repository.root, "ls-tree", "-r", head).replace(git(it.one, "rev-parse", "HEAD:src/a.py"), "?")
        opened = it.trees._opened
        assert opened is not None
        entry = opened.store.tree(opened.store.tree(await it.tree(commit))[b"src"].oid)[b"sub"]
        assert f"160000 commit {entry.oid}\tsrc/sub" in names

    lab(play)


def test_a_stop_in_the_middle_of_a_look_leaves_neither_files_nor_processes(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, go_on = threading.Event(), threading.Event()

    def read_slowly(*arguments: Any) -> FileNow | None:
        reads.set()
        go_on.wait(10)
        return read_file_now(*arguments)

    async def play(it: Lab) -> None:
        (it.one / "src/a.py").write_text("one\n")
        await it.look(it.one)
        opened = it.trees._opened
        assert opened is not None
        opened.store.close()
        monkeypatch.setattr(live_trees, "read_file_now", read_slowly)
        look = asyncio.create_task(it.look(it.one, "src/a.py", "src/b.py"))
        await asyncio.to_thread(reads.wait, 10)
        look.cancel()
        closing = asyncio.create_task(it.trees.close())
        await asyncio.wait({closing}, timeout=0.2)
        assert not closing.done() and opened.store.git_dir.is_dir()
        go_on.set()
        await closing
        assert look.cancelled()
        assert not opened.store.folder.exists() and opened.store._reader is None

    lab(play)
