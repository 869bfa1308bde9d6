"""The integration branch is brought into a worktree in which a joint file has moved on (LOCK-1, GIT-2)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aegis_tui.adapters.git.guard import write_guard
from aegis_tui.agent.files import OwnWorktree
from aegis_tui.agent.git import Git
from aegis_tui.agent.newest import MovedOn, NewestContent
from aegis_tui.ports.repository import Guard
from aegis_tui.testing.memory_hub import MemoryHub
from tests.agent.conftest import git

JOINT = "src/routes.py"
REF = "refs/heads/aegis/r1/integration"


@pytest.fixture
def merged(worktree: Path) -> Path:
    """The repository, whose integration branch has a changed joint file and a new file that it needs."""
    repository = worktree.parent / "repository"
    (repository / JOINT).write_text("import wish\nROUTES = [\n    wish,\n]\n")
    (repository / "src/b/wish.py").write_text("wish = 1\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "merge wish")
    git(repository, "update-ref", REF, "HEAD")
    return repository


def bring(worktree: Path, path: str = JOINT, *, environ: dict[str, str] | None = None) -> MovedOn | None:
    link = MemoryHub().link("NATIVE-w01")
    newest = NewestContent(Git(worktree), OwnWorktree(worktree), link, environ or {"AEGIS_INTEGRATION_REF": REF})
    return asyncio.run(newest.bring(path))


@pytest.mark.usefixtures("merged")
def test_the_whole_branch_comes_with_the_file_and_own_work_stays_uncommitted(worktree: Path) -> None:
    (worktree / "src/a/app.py").write_text("def greet():\n    return 'hello'\n")
    (worktree / "src/a/new.py").write_text("new = 1\n")
    moved = bring(worktree)
    assert moved is not None and moved.problem == "" and moved.files == 2
    assert (worktree / JOINT).read_text() == "import wish\nROUTES = [\n    wish,\n]\n"
    assert (worktree / "src/b/wish.py").exists()
    assert git(worktree, "rev-parse", "HEAD") == git(worktree, "rev-parse", REF)
    assert git(worktree, "status", "--porcelain").splitlines() == ["M src/a/app.py", "?? src/a/new.py"]
    assert "+    wish," in moved.words and "2 files updated" in moved.words
    assert bring(worktree) is None


@pytest.mark.usefixtures("merged")
def test_own_commits_stay_and_changes_of_the_joint_file_are_joined(worktree: Path) -> None:
    (worktree / "src/a/app.py").write_text("mine = 1\n")
    git(worktree, "commit", "-q", "-am", "mine")
    mine = git(worktree, "rev-parse", "HEAD")
    (worktree / JOINT).write_text("ROUTES = [\n]\n\n\nFOUND = 1\n")
    moved = bring(worktree)
    assert moved is not None and moved.problem == ""
    assert (worktree / JOINT).read_text() == "import wish\nROUTES = [\n    wish,\n]\n\n\nFOUND = 1\n"
    assert git(worktree, "rev-list", "--parents", "-1", "HEAD").split()[1:] == [mine, git(worktree, "rev-parse", REF)]
    assert git(worktree, "diff", "--name-only", "HEAD") == JOINT


@pytest.mark.usefixtures("merged")
def test_a_conflict_leaves_everything_as_it_is_and_says_how_to_go_on(worktree: Path) -> None:
    (worktree / JOINT).write_text("ROUTES = [\n    mine,\n]\n")
    before = git(worktree, "rev-parse", "HEAD")
    moved = bring(worktree)
    assert moved is not None and JOINT in moved.problem and "git rebase" in moved.words
    assert (worktree / JOINT).read_text() == "ROUTES = [\n    mine,\n]\n"
    assert git(worktree, "rev-parse", "HEAD") == before
    assert git(worktree, "status", "--porcelain") == "M src/routes.py"
    assert not (worktree / "src/b/wish.py").exists()


@pytest.mark.usefixtures("merged")
def test_an_untracked_file_is_never_overwritten(worktree: Path) -> None:
    (worktree / "src/b/wish.py").write_text("a draft of my own\n")
    before = git(worktree, "rev-parse", "HEAD")
    moved = bring(worktree)
    assert moved is not None and "git cannot update the files" in moved.problem
    assert (worktree / "src/b/wish.py").read_text() == "a draft of my own\n"
    assert (worktree / JOINT).read_text() == "ROUTES = [\n]\n"
    assert git(worktree, "rev-parse", "HEAD") == before


def test_a_file_that_has_not_moved_is_left_alone(worktree: Path, merged: Path) -> None:
    assert bring(worktree, "src/a/app.py") is None
    assert bring(worktree, environ={"PATH": ""}) is None
    assert git(worktree, "rev-parse", "HEAD") != git(merged, "rev-parse", "HEAD")


def test_the_own_change_of_a_lockfile_gives_way_to_the_merged_one(worktree: Path, merged: Path) -> None:
    (merged / "uv.lock").write_text("theirs\n")
    git(merged, "add", "-A")
    git(merged, "commit", "-q", "-m", "merge lock")
    git(merged, "update-ref", REF, "HEAD")
    (worktree / "uv.lock").write_text("mine\n")
    git(worktree, "add", "uv.lock")
    moved = bring(worktree, "uv.lock")
    assert moved is not None and moved.problem == "" and [*moved.dropped] == ["uv.lock"]
    assert (worktree / "uv.lock").read_text() == "theirs\n"
    assert "run `uv lock` again" in moved.words


@pytest.mark.parametrize(
    ("name", "head", "attributes", "how"),
    [
        ("uv.lock", "", "", "run `uv lock` again"),
        ("gen/api.pb", "// Code generated by protoc. DO NOT EDIT.\n", "", "make it again with protoc"),
        ("gen/api.pb", "", "gen/* linguist-generated\n", "make it again with the program that generates it"),
        ("gen/api.pb", "# @generated\n", "gen/* -linguist-generated\n", ""),
        ("gen/api.pb", "", "", ""),
    ],
)
@pytest.mark.parametrize("place", [0, 30])
def test_a_generated_file_is_as_merged_and_made_again_even_where_no_lines_clash(
    worktree: Path, merged: Path, name: str, head: str, attributes: str, how: str, place: int
) -> None:
    lines = [head, *(f"line {at}\n" for at in range(40))]
    (merged / name).parent.mkdir(exist_ok=True)
    (merged / name).write_text("".join(lines))
    (merged / ".gitattributes").write_text(attributes)
    git(merged, "add", "-A")
    git(merged, "commit", "-q", "-m", "generated")
    git(worktree, "reset", "-q", "--hard", git(merged, "rev-parse", "HEAD"))
    theirs = "".join([*lines[:5], "theirs\n", *lines[6:]])
    (merged / name).write_text(theirs)
    git(merged, "commit", "-qam", "merge theirs")
    git(merged, "update-ref", REF, "HEAD")
    own = "".join([*lines[: 5 + place], "own\n", *lines[6 + place :]])
    (worktree / name).write_text(own)
    moved = bring(worktree, name)
    assert moved is not None
    now = (worktree / name).read_text()
    if how:
        assert moved.problem == "" and now == theirs
        assert f"Your change of {name} was replaced by the merged content: {how}" in moved.words
    else:
        assert not moved.dropped and (now == own) is bool(moved.problem) is (place == 0)


def test_nothing_is_replaced_where_another_file_conflicts(worktree: Path, merged: Path) -> None:
    (merged / "uv.lock").write_text("theirs\n")
    git(merged, "add", "-A")
    git(merged, "commit", "-q", "-m", "merge lock")
    git(merged, "update-ref", REF, "HEAD")
    (worktree / "uv.lock").write_text("mine\n")
    git(worktree, "add", "uv.lock")
    (worktree / JOINT).write_text("ROUTES = [\n    mine,\n]\n")
    moved = bring(worktree, "uv.lock")
    assert moved is not None and JOINT in moved.problem and not moved.dropped
    assert (worktree / "uv.lock").read_text() == "mine\n"


def test_a_deleted_joint_file_is_gone_afterwards(worktree: Path, merged: Path) -> None:
    git(merged, "rm", "-q", JOINT)
    git(merged, "commit", "-q", "-m", "merge removal")
    git(merged, "update-ref", REF, "HEAD")
    moved = bring(worktree)
    assert moved is not None and moved.problem == "" and "deleted file" in moved.words
    assert not (worktree / JOINT).exists()


@pytest.mark.usefixtures("merged")
def test_an_unfinished_rebase_is_not_disturbed(worktree: Path) -> None:
    (Path(git(worktree, "rev-parse", "--absolute-git-dir")) / "rebase-merge").mkdir()
    moved = bring(worktree)
    assert moved is not None and "a rebase is not finished" in moved.problem
    assert (worktree / JOINT).read_text() == "ROUTES = [\n]\n"


def test_the_guard_of_the_worktree_lets_it_pass(worktree: Path, merged: Path) -> None:
    guard = Guard(
        agent_id="NATIVE-w01",
        own_ref="refs/heads/aegis/r1/w01",
        integration_ref=REF,
        allow=("src/a/**",),
        joint=(JOINT,),
        hooks_dir=worktree.parent / "hooks",
    )
    settings = write_guard(guard, "")
    (worktree / "src/a/app.py").write_text("mine = 1\n")
    git(worktree, "commit", "-q", "-am", "mine")
    git(merged, "config", "include.path", str(settings))
    (worktree / JOINT).write_text("ROUTES = [\n]\n\n\nFOUND = 1\n")
    moved = bring(worktree)
    assert moved is not None and moved.problem == ""
    assert (worktree / "src/b/wish.py").exists()
