import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.watch import watched_tree
from aegis_tui.adapters.watch.listing import git_folder
from aegis_tui.adapters.watch.tree_watcher import TreeWatcher
from aegis_tui.adapters.watch.watched_tree import RETRY_S
from aegis_tui.domain.filling import FILLING_NAME
from aegis_tui.domain.lock.region import blob_id
from aegis_tui.errors import GitError
from aegis_tui.ports.tree_watch import FileChange

Seen = set[tuple[str, str]]


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t.invalid", "-c", "core.autocrlf=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


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


@pytest.mark.skipif(sys.platform != "linux", reason="missing: linux")
def test_a_file_that_is_only_read_is_no_event(worktree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from watchdog.observers.inotify import InotifyEmitter

    queued: list[str] = []
    queue = InotifyEmitter.build_and_queue_event

    def build(emitter: InotifyEmitter, event: Any, **more: Any) -> None:
        queued.append(repr(event))
        queue(emitter, event, **more)

    monkeypatch.setattr(InotifyEmitter, "build_and_queue_event", build)

    def act() -> None:
        for _ in range(50):
            (worktree / "a.py").read_text()
        (worktree / "b.py").write_text("new")

    run(watch(worktree, act, lambda seen: ("b.py", "created") in seen))
    assert 1 <= len(queued) < 10, queued


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


def test_folders_that_are_never_watched_take_no_watch_of_the_kernel(
    worktree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchdog.observers.inotify_c import InotifyFD

    watched: list[str] = []
    add = InotifyFD.add_callback

    def note(kernel: InotifyFD, path: bytes, *more: Any) -> Any:
        watched.append(str(Path(os.fsdecode(path)).relative_to(worktree)))
        return add(kernel, path, *more)

    monkeypatch.setattr(InotifyFD, "add_callback", note)
    (worktree / "node_modules" / "deep").mkdir(parents=True)

    def act() -> None:
        (worktree / "node_modules" / "late" / "deep").mkdir(parents=True)
        (worktree / "src" / ".git").mkdir(parents=True)
        (worktree / "src" / "b.py").write_text("signal")

    run(watch(worktree, act, lambda seen: ("src/b.py", "created") in seen))
    assert set(watched) == {".", "src"}


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


def keep_times(path: Path, content: str) -> None:
    """Write other content of the same size in place, and put the time of change back."""
    before = path.stat()
    with path.open("r+") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize("deaf", [False, True])
def test_touching_a_file_that_git_knows_is_no_change(worktree: Path, deaf: bool) -> None:
    git(worktree, "add", ".")
    git(worktree, "commit", "-qm", "m")

    def act() -> None:
        subprocess.run(["touch", "a.py", ".gitignore"], cwd=worktree, check=True)
        (worktree / "end.py").write_text("end")

    found = run(watch(worktree, act, bool, scan_s=0.2, deaf=deaf))
    assert [item.path for item in found] == ["end.py"]


def test_a_checkout_with_other_line_ends_than_git_stores_is_no_change_when_touched(worktree: Path) -> None:
    (worktree / ".gitattributes").write_text("*.py text eol=crlf\n")
    git(worktree, "add", ".")
    git(worktree, "commit", "-qm", "m")
    (worktree / "a.py").unlink()
    git(worktree, "checkout", "-q", "a.py")
    assert (worktree / "a.py").read_bytes() == b"one\r\n"

    def act() -> None:
        subprocess.run(["touch", "a.py"], cwd=worktree, check=True)
        (worktree / "end.py").write_text("end")

    found = run(watch(worktree, act, bool))
    assert [item.path for item in found] == ["end.py"]
    found = run(watch(worktree, lambda: (worktree / "a.py").write_bytes(b"two\r\n"), bool))
    assert [(item.path, item.change_type) for item in found] == [("a.py", "modified")]


def test_an_edit_that_hides_its_time_is_told_by_event_and_by_scan(worktree: Path) -> None:
    git(worktree, "add", ".")
    git(worktree, "commit", "-qm", "m")
    found = run(watch(worktree, lambda: keep_times(worktree / "a.py", "two\n"), bool))
    assert [(item.path, item.change_type) for item in found] == [("a.py", "modified")]
    found = run(watch(worktree, lambda: keep_times(worktree / "a.py", "six\n"), bool, scan_s=0.2, deaf=True))
    assert [(item.path, item.change_type) for item in found] == [("a.py", "modified")]


def test_a_change_says_which_content_and_when(worktree: Path) -> None:
    (found,) = run(watch(worktree, lambda: (worktree / "a.py").write_text("two\n"), bool))
    assert found.oid == blob_id(b"two\n")
    assert 0 < found.changed_ns <= (worktree / "a.py").stat().st_ctime_ns


def test_a_file_in_a_submodule_or_in_another_repository_holds_nothing_up(worktree: Path) -> None:
    for name in ("sub", "other"):
        git(worktree, "init", "-q", name)
        git(worktree / name, "commit", "-q", "--allow-empty", "-m", "m")
    git(worktree, "add", "sub", "a.py")

    def act() -> None:
        (worktree / "sub" / "s.txt").write_text("s")
        (worktree / "other" / "o.txt").write_text("o")
        (worktree / "a.py").write_text("two\n")

    found = run(watch(worktree, act, bool))
    assert [(item.path, item.change_type) for item in found] == [("a.py", "modified")]


def test_a_submodule_that_is_not_checked_out_holds_nothing_up(worktree: Path) -> None:
    git(worktree, "init", "-q", "sub")
    git(worktree / "sub", "commit", "-q", "--allow-empty", "-m", "m")
    git(worktree, "add", "-A")
    shutil.rmtree(worktree / "sub" / ".git")

    def act() -> None:
        (worktree / "sub" / "s.txt").write_text("s")
        (worktree / "x.log").write_text("ignored")
        (worktree / "a.py").write_text("two\n")

    found = run(watch(worktree, act, bool))
    assert [item.path for item in found] == ["a.py"]


def test_a_folder_that_becomes_a_link_loses_its_files_once_and_holds_nothing_up(worktree: Path) -> None:
    for name in ("src", "dd"):
        (worktree / name).mkdir()
        (worktree / name / "x.py").write_text(name)
    git(worktree, "add", "-A")

    def act() -> None:
        shutil.rmtree(worktree / "dd")
        (worktree / "dd").symlink_to("src")
        (worktree / "a.py").write_text("two\n")

    wanted = {("a.py", "modified"), ("dd/x.py", "deleted"), ("dd", "created")}
    found = run(watch(worktree, act, lambda seen: seen >= wanted, scan_s=0.2))
    assert sorted((item.path, item.change_type) for item in found) == sorted(wanted)


def test_what_git_could_not_answer_for_is_looked_at_again(worktree: Path) -> None:
    head = worktree / ".git" / "HEAD"

    async def main() -> list[FileChange]:
        watcher = TreeWatcher(coalesce_s=0.02)
        try:
            await watcher.add("me", worktree)
            tree = watcher._trees["me"]
            async with asyncio.timeout(10), aclosing(watcher.changes()) as changes:
                head.rename(head.with_name("AWAY"))
                (worktree / "a.py").write_text("two\n")
                told = asyncio.ensure_future(anext(changes))
                while tree.retry_s == RETRY_S:
                    await asyncio.to_thread(time.sleep, 0.01)
                head.with_name("AWAY").rename(head)
                return await told
        finally:
            await watcher.close()

    assert [item.path for item in asyncio.run(main())] == ["a.py"]


def test_a_folder_that_is_no_worktree_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        watcher = TreeWatcher()
        try:
            with pytest.raises(GitError):
                await watcher.add("me", tmp_path)
        finally:
            await watcher.close()

    asyncio.run(main())


def test_files_that_are_added_to_a_new_worktree_are_no_changes_but_all_others_are(worktree: Path) -> None:
    (worktree / "big").mkdir()
    for name in ("one.txt", "two.txt"):
        (worktree / "big" / name).write_text(f"{name}\n")
    git(worktree, "add", ".")
    git(worktree, "commit", "-qm", "Big")
    aside = worktree.parent / "aside"
    (worktree / "big").rename(aside)
    mark = git_folder(worktree) / FILLING_NAME
    mark.write_text("")

    def act() -> None:
        (worktree / "mine.txt").write_text("mine\n")
        aside.rename(worktree / "big")
        (worktree / "big" / "two.txt").write_text("changed\n")
        mark.unlink()

    expected = {("mine.txt", "created"), ("big/two.txt", "created")}
    changes = run(watch(worktree, act, lambda seen: seen >= expected))
    assert {(item.path, item.change_type) for item in changes} == expected
    later = run(watch(worktree, lambda: (worktree / "mine.txt").write_text("more\n"), bool))
    assert {item.path for item in later} == {"mine.txt"}


def test_a_worktree_that_never_becomes_complete_is_watched_all_the_same(
    worktree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_tree, "MAX_FILLING_S", 0.1)
    (git_folder(worktree) / FILLING_NAME).write_text("")
    changes = run(watch(worktree, lambda: (worktree / "new.txt").write_text("x\n"), bool))
    assert {item.path for item in changes} == {"new.txt"}
