"""What nobody owns any more is put away, and no work is lost with it (PANE-8, GIT-1)."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aegis_tui.adapters.disk import size_of
from aegis_tui.adapters.git.folder import find_scratch_of_the_dead, scratch_folder
from aegis_tui.adapters.git.lay_by import KEPT_NAME
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.application.leftovers import Leftovers, Removed
from aegis_tui.bootstrap.wiring import claimed_worktrees
from aegis_tui.domain.instance.model import Instance, Phase
from aegis_tui.domain.workspace import Workspace
from aegis_tui.ports.repository import Guard, WorktreeSpec
from aegis_tui.testing.sample_repository import create_sample_repository


@pytest.fixture
def state(tmp_path: Path) -> Path:
    create_sample_repository(tmp_path / "repo")
    for name in ("worktrees", "scratch", "tmp"):
        (tmp_path / name).mkdir()
    return tmp_path


def git(folder: Path, *args: str) -> str:
    return subprocess.run(["git", *args], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


async def _leave(state: Path) -> str:
    """Two worktrees with unsaved work and a scratch one, as a hub that is killed leaves them."""
    repository = await open_repository(state / "repo")
    base = git(state / "repo", "rev-parse", "HEAD")
    for name in ("w01", "w02"):
        await _add(state, name, base)
        (state / "worktrees" / name / "unsaved.txt").write_text(f"work of {name}\n")
    await repository.add_scratch(state / "scratch" / "run1-composed", base)
    return base


async def _add(state: Path, name: str, base: str) -> None:
    guard = Guard(
        agent_id=f"NATIVE-{name}",
        own_ref=f"refs/heads/aegis/run1/{name}",
        integration_ref="refs/heads/aegis/run1/integration",
        allow=("**",),
        hooks_dir=state / "instances" / name / "hooks",
    )
    repository = await open_repository(state / "repo")
    await repository.add_worktree(WorktreeSpec(name, state / "worktrees" / name, f"aegis/run1/{name}", base, guard))


async def _leftovers(state: Path) -> Leftovers:
    return Leftovers(
        await open_repository(state / "repo"),
        worktrees_dir=state / "worktrees",
        scratch_dir=state / "scratch",
        kept_dir=state / KEPT_NAME,
        find_scratch=lambda: find_scratch_of_the_dead(state / "tmp"),
        measure=lambda path: size_of([path]),
    )


async def _remove(state: Path, *claimed: Path, only: str | None = None, is_running: bool = False) -> list[Removed]:
    leftovers = await _leftovers(state)
    return await leftovers.remove([str(path) for path in claimed], only=only, is_running=is_running)


def test_unclaimed_worktrees_go_and_their_work_is_kept(state: Path) -> None:
    asyncio.run(_leave(state))
    removed = asyncio.run(_remove(state, state / "worktrees" / "w02"))

    assert [(item.kind, Path(item.path).name) for item in removed] == [
        ("worktree", "w01"),
        ("scratch worktree", "run1-composed"),
    ]
    assert git(state / "repo", "show", f"{removed[0].rescue_ref}:unsaved.txt") == "work of w01"
    assert (state / "worktrees" / "w02" / "unsaved.txt").exists()
    assert asyncio.run(_remove(state, state / "worktrees" / "w02")) == []


def test_scratch_of_a_check_that_was_killed_goes_and_that_of_a_running_hub_stays(state: Path) -> None:
    asyncio.run(_leave(state))
    (state / "scratch" / "qa-home-x").mkdir()
    (state / "scratch" / "qa-home-x" / "link").symlink_to(state / "repo")
    mine = [state / "worktrees" / name for name in ("w01", "w02")]
    assert asyncio.run(_remove(state, *mine, is_running=True)) == []
    removed = asyncio.run(_remove(state, *mine))
    assert {item.kind for item in removed} == {"scratch worktree", "temporary folder"}
    assert list((state / "scratch").iterdir()) == []
    assert (state / "repo" / "README.md").exists()


def test_scratch_that_was_cut_off_in_the_making_goes(state: Path) -> None:
    place = state / "scratch" / "run1-base"
    options = ("--detach", "--no-checkout", "--lock", "--reason", "aegis-tui scratch")
    git(state / "repo", "worktree", "add", *options, str(place))
    removed = asyncio.run(_remove(state))
    assert [(item.kind, item.kept) for item in removed] == [("scratch worktree", None)]
    assert list((state / "scratch").iterdir()) == []
    assert len(git(state / "repo", "worktree", "list").splitlines()) == 1


def test_one_worktree_can_be_named(state: Path) -> None:
    asyncio.run(_leave(state))
    removed = asyncio.run(_remove(state, only="w02"))
    assert [Path(item.path).name for item in removed] == ["w02"]
    assert sorted(path.name for path in (state / "worktrees").iterdir()) == ["w01"]


def test_what_cannot_be_removed_is_named_and_the_rest_goes(state: Path) -> None:
    asyncio.run(_leave(state))
    git(state / "worktrees" / "w01", "init", "-q", "inner")
    (state / "worktrees" / "w01" / "inner" / "file").write_text("x")
    git(state / "worktrees" / "w01" / "inner", "add", ".")
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    git(state / "worktrees" / "w01" / "inner", *who, "commit", "-qm", "inner")
    removed = asyncio.run(_remove(state))
    kept = {Path(item.path).name: item.kept for item in removed}
    assert "repository of its own" in str(kept["w01"])
    assert kept["w02"] is None
    assert (state / "worktrees" / "w01" / "inner" / "file").exists()


def test_a_folder_that_git_has_forgotten_is_saved_too(state: Path) -> None:
    asyncio.run(_leave(state))
    (state / "repo" / ".git" / "worktrees" / "w01" / "gitdir").unlink()
    removed = {Path(item.path).name: item for item in asyncio.run(_remove(state))}
    assert git(state / "repo", "show", f"{removed['w01'].rescue_ref}:unsaved.txt") == "work of w01"


@pytest.mark.parametrize("kind", ["git", "demo", "landlock", "probe"])
def test_temporary_folders_go_with_the_process_that_made_them(
    state: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(state / "tmp"))
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    left = state / "tmp" / f"aegis-{kind}-{int(dead.stdout)}-x"
    left.mkdir()
    (left / "index").write_text("x")
    with scratch_folder() as mine:
        assert str(os.getpid()) in mine.name
        assert find_scratch_of_the_dead() == [left]
        asyncio.run(_remove(state))
        assert mine.exists()
    assert list((state / "tmp").iterdir()) == []


def test_over_the_budget_the_oldest_unused_worktrees_go_but_none_with_unsaved_work(state: Path) -> None:
    base = asyncio.run(_leave(state))
    for name in ("w03", "w04", "w05"):
        asyncio.run(_add(state, name, base))
    os.utime(state / "worktrees" / "w04", ns=(1, 1))

    async def claimed() -> list[str]:
        return [str(state / "worktrees" / "w05")]

    async def shrink(budget_bytes: int) -> tuple[list[Removed], int]:
        return await (await _leftovers(state)).shrink(claimed, budget_bytes)

    sizes = asyncio.run(asyncio.wait_for(_sizes(state), 60))
    total = sum(sizes.values())
    assert set(sizes) == {state / "worktrees" / f"w0{number}" for number in range(1, 6)} | {
        state / "scratch" / "run1-composed"
    }
    assert asyncio.run(shrink(total)) == ([], total)
    removed, left = asyncio.run(shrink(total - 1))
    assert [Path(item.path).name for item in removed] == ["w04"] and left == total - sizes[state / "worktrees" / "w04"]
    removed, left = asyncio.run(shrink(1))
    assert [Path(item.path).name for item in removed] == ["w03"]
    there = sorted(path.name for path in (state / "worktrees").iterdir() if not path.name.startswith("."))
    assert there == ["w01", "w02", "w05"]
    assert git(state / "repo", "for-each-ref", "refs/aegis/rescue") == ""
    assert git(state / "repo", "rev-parse", "aegis/run1/w03") == base


async def _sizes(state: Path) -> dict[Path, int]:
    return await (await _leftovers(state)).sizes()


def _keep_a_checkout(state: Path) -> Path:
    kept = state / KEPT_NAME
    (kept / "tree").mkdir(parents=True)
    (kept / "tree/file").write_text("content\n" * 1000)
    return kept


def test_the_kept_checkout_counts_and_goes_first(state: Path) -> None:
    base, kept = asyncio.run(_leave(state)), _keep_a_checkout(state)
    asyncio.run(_add(state, "w03", base))

    async def claimed() -> list[str]:
        return []

    async def shrink(budget_bytes: int) -> tuple[list[Removed], int]:
        return await (await _leftovers(state)).shrink(claimed, budget_bytes)

    sizes = asyncio.run(_sizes(state))
    total = sum(sizes.values())
    removed, left = asyncio.run(shrink(total - 1))
    assert [item.kind for item in removed] == ["kept checkout"] and not kept.exists()
    assert left == total - sizes[kept] == sum(asyncio.run(_sizes(state)).values())


def test_the_kept_checkout_goes_unless_a_hub_may_use_it(state: Path) -> None:
    kept = _keep_a_checkout(state)
    assert asyncio.run(_remove(state, is_running=True)) == [] and kept.exists()
    assert [item.kind for item in asyncio.run(_remove(state))] == ["kept checkout"]
    assert not kept.exists() and list((state / "scratch").iterdir()) == []


def test_a_worktree_that_is_added_while_the_space_is_measured_is_no_leftover(state: Path) -> None:
    base = asyncio.run(_leave(state))

    async def claimed() -> list[str]:
        await _add(state, "w03", base)
        return [str(state / "worktrees" / name) for name in ("w01", "w02")]

    async def shrink() -> list[Removed]:
        return (await (await _leftovers(state)).shrink(claimed, 1))[0]

    assert asyncio.run(shrink()) == []
    assert (state / "worktrees" / "w03" / "README.md").exists()


def test_the_worktree_of_an_instance_that_is_being_prepared_is_claimed() -> None:
    workspace = Workspace()
    places = {"w01": (Phase.PLANNED, None), "w02": (Phase.GONE, "/its/own"), "w03": (Phase.RECLAIMED, "/made/w03")}
    for name, (phase, worktree) in places.items():
        workspace.instances.by_id[f"NATIVE-{name}"] = Instance(
            agent_id=f"NATIVE-{name}",
            instance_id=name,
            role="worker",
            kind="native",
            planned_at="2026-01-01T00:00:00Z",
            phase=phase,
            worktree=worktree,
        )
    assert claimed_worktrees(Path("/made"), workspace) == {"/made/w01", "/its/own"}
