"""`uninstall`: what it shows, what it removes, and that no work is lost with it (CLI-2)."""

from __future__ import annotations

import asyncio
import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.bootstrap.uninstall import make_uninstall
from aegis_tui.ports.repository import Guard, WorktreeSpec
from aegis_tui.sdk.discovery import WorkspacePaths, workspace_key_of, workspace_paths
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.cli.logged import LOG, recorded, write_log
from tests.workspace import clean_workspace


@pytest.fixture
def place() -> Iterator[ScratchWorkspace]:
    with clean_workspace({"a.py": "x = 1\n", ".gitignore": "*.log\n"}) as scratch:
        yield scratch


@pytest.fixture
def paths(place: ScratchWorkspace) -> WorkspacePaths:
    paths = workspace_paths(workspace_key_of(place.root), place.environ)
    paths.create()
    return paths


def leave_work(place: ScratchWorkspace, paths: WorkspacePaths) -> dict[str, str]:
    """Leave a dirty worktree, saved work, and a result, as a run that has ended does; return names and commits."""
    start = place.git("rev-parse", "HEAD")
    worktree = paths.worktrees_dir / "w01"
    guard = Guard(
        agent_id="NATIVE-w01",
        own_ref="refs/heads/aegis/run1/w01",
        integration_ref="refs/heads/aegis/run1/integration",
        allow=("**",),
        hooks_dir=paths.instances_dir / "w01" / "hooks",
    )

    async def add() -> None:
        await (await open_repository(place.root)).add_worktree(
            WorktreeSpec("w01", worktree, "aegis/run1/w01", start, guard)
        )

    asyncio.run(add())
    (worktree / "a.py").write_text("x = 2\n")
    tree = place.git("rev-parse", "HEAD^{tree}")
    made = {name: place.git("commit-tree", tree, "-p", start, "-m", name) for name in ("saved", "result", "merged")}
    place.git("update-ref", "refs/aegis/rescue/run1/w02/1", made["saved"])
    place.git("update-ref", "refs/heads/aegis/run1/result", made["result"])
    place.git("update-ref", "refs/heads/feature", made["merged"])
    place.git("update-ref", "refs/aegis/runs/run1/f1", made["merged"])
    return made


def asked(place: ScratchWorkspace, *words: str, code: int = 0) -> dict[str, Any]:
    done = place.aegis("uninstall", *words, "--json")
    assert done.code == code, done.out
    fields = json.loads(done.out)
    assert isinstance(fields, dict)
    return fields


def refs_of(place: ScratchWorkspace) -> list[str]:
    return place.git("for-each-ref", "--format=%(refname)").split()


def test_nothing_is_changed_without_a_yes(place: ScratchWorkspace, paths: WorkspacePaths) -> None:
    leave_work(place, paths)
    before = refs_of(place)
    (item,) = asked(place, "--dry-run")["workspaces"]
    assert (item["worktrees"], item["refs"], item["removed"]) == (1, 3, False) and item["state_bytes"] > 0
    dry = place.aegis("uninstall", "--dry-run")
    assert dry.code == 0 and f"would remove what is kept of {place.root}: " in dry.out and "end its hub" in dry.out
    done = place.aegis("uninstall")
    assert done.code == 2 and "--yes" in done.err and "1 worktree" in done.err
    assert refs_of(place) == before and (paths.worktrees_dir / "w01" / "a.py").read_text() == "x = 2\n"
    asked(place, "--yes")


def test_everything_goes_but_results_and_work_comes_back_from_the_bundle(
    place: ScratchWorkspace, paths: WorkspacePaths
) -> None:
    made = leave_work(place, paths)
    assert place.aegis("init").code == 0
    (place.root / "own.txt").write_text("mine")
    (item,) = asked(place, "--yes")["workspaces"]
    assert item["removed"] and item["why_kept"] == ""
    assert refs_of(place) == ["refs/heads/aegis/run1/result", "refs/heads/feature", "refs/heads/main"]
    assert not paths.state_dir.exists() and not paths.runtime_dir.exists()
    assert place.git("worktree", "list", "--porcelain").count("worktree ") == 1
    assert place.git("status", "--porcelain") == "?? own.txt", "init was taken back, and no file of the person touched"
    bundle = Path(item["bundle"])
    assert bundle.parent == place.root / ".git"
    place.git("fetch", "-q", str(bundle), "refs/*:refs/*")
    assert place.git("rev-parse", "refs/aegis/rescue/run1/w02/1") == made["saved"]
    (rescued,) = [ref for ref in refs_of(place) if ref.startswith("refs/aegis/rescue/") and "/w01/" in ref]
    assert place.git("show", f"{rescued}:a.py") == "x = 2"
    assert "refs/aegis/runs/run1/f1" not in refs_of(place), "a branch of the person's has its commit"


def test_branches_of_the_person_stay(place: ScratchWorkspace, paths: WorkspacePaths) -> None:
    made = leave_work(place, paths)
    place.git("branch", "aegis/idea")
    place.git("symbolic-ref", "refs/aegis/runs/run1/alias", "refs/heads/feature")
    place.git("checkout", "-q", "-b", "aegis/run1/w03", made["saved"])
    place.git("update-ref", "-d", "refs/aegis/rescue/run1/w02/1")
    assert asked(place, "--yes")["workspaces"][0]["removed"]
    kept = ["refs/heads/aegis/idea", "refs/heads/aegis/run1/result", "refs/heads/aegis/run1/w03"]
    assert refs_of(place) == [*kept, "refs/heads/feature", "refs/heads/main"]
    assert place.git("rev-parse", "HEAD") == made["saved"], "the branch that is checked out is still there"


def test_a_commit_that_only_a_detached_head_keeps_is_saved(place: ScratchWorkspace, paths: WorkspacePaths) -> None:
    made = leave_work(place, paths)
    place.git("checkout", "-q", "--detach", made["saved"])
    bundle = asked(place, "--yes")["workspaces"][0]["bundle"]
    assert f"{made['saved']} refs/aegis/rescue/run1/w02/1" in place.git("bundle", "list-heads", bundle)


def test_a_hub_that_starts_meanwhile_keeps_everything(place: ScratchWorkspace, paths: WorkspacePaths) -> None:
    leave_work(place, paths)
    before = refs_of(place)
    with paths.hub_lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (item,) = asked(place, "--yes", code=1)["workspaces"]
    assert not item["removed"] and "already running" in item["why_kept"] and "aegis-tui hub" in item["why_kept"]
    assert refs_of(place) == before and (paths.worktrees_dir / "w01" / "a.py").read_text() == "x = 2\n"
    assert asked(place, "--yes")["workspaces"][0]["removed"]


def test_a_state_folder_that_is_a_link_is_not_followed(place: ScratchWorkspace, paths: WorkspacePaths) -> None:
    leave_work(place, paths)
    before, elsewhere = refs_of(place), place.folder / "elsewhere"
    paths.state_dir.rename(elsewhere)
    paths.state_dir.symlink_to(elsewhere)
    (item,) = asked(place, "--yes", code=1)["workspaces"]
    assert f"is a link to {elsewhere}" in item["why_kept"] and refs_of(place) == before
    paths.state_dir.unlink()
    elsewhere.rename(paths.state_dir)
    assert asked(place, "--yes")["workspaces"][0]["removed"]


def test_the_bundle_is_named_even_if_a_folder_cannot_be_deleted(
    place: ScratchWorkspace, paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_work(place, paths)
    real = shutil.rmtree

    def rmtree(path: Path, *args: Any, **options: Any) -> None:
        if path == paths.state_dir:
            raise PermissionError(13, "denied", str(path))
        real(path, *args, **options)

    async def remove() -> None:
        await (await make_uninstall(place.root, paths)).remove()

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    with pytest.raises(OSError, match=r"denied.*; the work of runs was saved in .*aegis-tui-saved.bundle"):
        asyncio.run(remove())


def test_a_second_bundle_does_not_replace_the_first(place: ScratchWorkspace, paths: WorkspacePaths) -> None:
    leave_work(place, paths)
    first = asked(place, "--yes")["workspaces"][0]["bundle"]
    place.git("branch", "-D", "aegis/run1/result", "feature")
    paths.create()
    leave_work(place, paths)
    second = asked(place, "--yes")["workspaces"][0]["bundle"]
    assert first != second and Path(first).exists() and Path(second).exists()


def test_a_folder_that_cannot_be_saved_keeps_everything(place: ScratchWorkspace, paths: WorkspacePaths) -> None:
    leave_work(place, paths)
    foreign = paths.worktrees_dir / "own"
    place.git("worktree", "add", "-q", "-b", "own", str(foreign))
    (foreign / "new.py").write_text("mine\n")
    before = refs_of(place)
    (item,) = asked(place, "--yes", code=1)["workspaces"]
    assert not item["removed"] and "own is not a worktree of aegis-tui" in item["why_kept"]
    assert (foreign / "new.py").read_text() == "mine\n" and set(before) - {"refs/heads/aegis/run1/w01"} <= set(
        refs_of(place)
    )
    place.git("worktree", "remove", "--force", str(foreign))
    assert asked(place, "--yes")["workspaces"][0]["removed"]


def test_where_nothing_is_kept_it_says_so(place: ScratchWorkspace) -> None:
    done = place.aegis("uninstall")
    assert (done.code, done.err.strip()) == (0, "nothing is kept of this repository")


def test_a_run_that_has_not_ended_is_left_alone(place: ScratchWorkspace, paths: WorkspacePaths) -> None:
    events = recorded()
    write_log(paths, events[: len(events) // 2])
    assert LOG.exists()
    (item,) = asked(place, "--yes", code=1)["workspaces"]
    assert not item["removed"] and "aegis-tui cancel run1" in item["why_kept"] and paths.log_db.exists()


def test_all_keeps_what_it_could_not_save(place: ScratchWorkspace, paths: WorkspacePaths) -> None:
    gone = workspace_paths("0123456789ab", place.environ)
    gone.create()
    (gone.state_dir / "repository.json").write_text(json.dumps({"root": str(place.folder / "gone")}))
    (paths.state_dir / "repository.json").write_text(json.dumps({"root": str(place.root)}))
    leave_work(place, paths)
    items = {item["state_dir"]: item for item in asked(place, "--all", "--yes", code=1)["workspaces"]}
    assert items[str(paths.state_dir)]["removed"] and not paths.state_dir.exists()
    assert f"rm -r {gone.state_dir}" in items[str(gone.state_dir)]["why_kept"] and gone.state_dir.exists()


def test_an_agent_may_not(place: ScratchWorkspace, paths: WorkspacePaths) -> None:
    place.environ["AEGIS_INSTANCE"] = "NATIVE-w01"
    assert place.aegis("uninstall", "--yes").code == 3
    assert paths.state_dir.exists()
