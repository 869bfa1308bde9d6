import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from aegis_tui.adapters.watch.tree_index import FileChange
from aegis_tui.adapters.watch.tree_watcher import TreeWatcher
from aegis_tui.errors import GitError

Seen = set[tuple[str, str]]


async def watch(
    root: Path, act: Callable[[], object], until: Callable[[Seen], bool], *, scan_s: float = 60.0, deaf: bool = False
) -> list[FileChange]:
    """Everything told from `act` on until `until` is satisfied."""
    watcher = TreeWatcher(coalesce_s=0.02, scan_s=scan_s)
    found: list[FileChange] = []
    try:
        await watcher.add("me", root)
        if deaf:
            await asyncio.to_thread(watcher._end, watcher._trees["me"])
        async with asyncio.timeout(10), aclosing(watcher.changes()) as changes:
            act()
            async for some in changes:
                found += some
                if until({(item.path, item.change_type) for item in found}):
                    return found
    finally:
        await watcher.close()
    raise AssertionError("the stream ended")


def run(job: Awaitable[list[FileChange]]) -> list[FileChange]:
    async def main() -> list[FileChange]:
        return await job

    return asyncio.run(main())


def test_saves_deletions_and_new_files_are_told_once_each(worktree: Path) -> None:
    def act() -> None:
        (worktree / "a.py").write_text("two\n")
        (worktree / "새 파일.txt").write_text("new")

    found = run(watch(worktree, act, lambda seen: len(seen) == 2))
    assert {(item.path, item.change_type, item.worktree) for item in found} == {
        ("a.py", "modified", "me"),
        ("새 파일.txt", "created", "me"),
    }
    found = run(watch(worktree, (worktree / "a.py").unlink, bool))
    assert [(item.path, item.change_type) for item in found] == [("a.py", "deleted")]


def test_ignored_files_and_git_itself_are_not_told(worktree: Path) -> None:
    def act() -> None:
        (worktree / "x.log").write_text("noise")
        (worktree / ".git" / "noise").write_text("noise")
        (worktree / "__pycache__").mkdir()
        (worktree / "__pycache__" / "a.pyc").write_text("noise")
        (worktree / "b.py").write_text("signal")

    found = run(watch(worktree, act, bool))
    assert [item.path for item in found] == ["b.py"]


def test_a_rename_is_told_as_moved(worktree: Path) -> None:
    found = run(watch(worktree, lambda: (worktree / "a.py").rename(worktree / "z.py"), lambda s: len(s) == 2))
    assert {(item.path, item.change_type) for item in found} == {("a.py", "deleted"), ("z.py", "moved")}


def test_a_folder_that_moves_in_is_found_with_its_files(worktree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "c.py").write_text("c")

    def act() -> None:
        shutil.move(outside, worktree / "inside")

    found = run(watch(worktree, act, lambda seen: ("inside/deep/c.py", "created") in seen))
    assert [item.path for item in found] == ["inside/deep/c.py"]


def test_the_scan_finds_what_the_events_missed(worktree: Path) -> None:
    def act() -> None:
        (worktree / "a.py").write_text("missed\n")
        (worktree / "build").mkdir()
        (worktree / "build" / "out").write_text("ignored")

    found = run(watch(worktree, act, bool, scan_s=0.2, deaf=True))
    assert [(item.path, item.change_type) for item in found] == [("a.py", "modified")]


def test_writing_the_same_content_again_is_no_change(worktree: Path) -> None:
    def act() -> None:
        (worktree / "n.py").write_text("same")

    async def main() -> list[FileChange]:
        watcher = TreeWatcher(coalesce_s=0.02)
        found: list[FileChange] = []
        try:
            await watcher.add("me", worktree)
            async with asyncio.timeout(10), aclosing(watcher.changes()) as changes:
                act()
                async for some in changes:
                    found += some
                    if len(found) == 1:
                        act()
                        (worktree / "end.py").write_text("end")
                    if some[-1].path == "end.py":
                        return found
        finally:
            await watcher.close()
        raise AssertionError("the stream ended")

    assert [item.path for item in asyncio.run(main())] == ["n.py", "end.py"]


def test_a_folder_that_is_no_worktree_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        watcher = TreeWatcher()
        try:
            with pytest.raises(GitError):
                await watcher.add("me", tmp_path)
        finally:
            await watcher.close()

    asyncio.run(main())
