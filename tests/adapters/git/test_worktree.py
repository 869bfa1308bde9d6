from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.errors import Conflict, Refused
from aegis_tui.ports.repository import RescueName, RescueRef, Worktree, WorktreeSpec

Shell = Any
MakeSpec = Callable[..., WorktreeSpec]
Add = Callable[..., list[Worktree]]
Remove = Callable[..., RescueRef | None]


def inventory(root: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {
        str(path.relative_to(root)): path.readlink().as_posix().encode() if path.is_symlink() else path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def test_a_worktree_has_every_file_of_its_base(repo: Path, git: Shell, spec_for: MakeSpec, add: Add) -> None:
    spec = spec_for("w01")
    [tree] = add(repo, spec)
    assert git(spec.path, "status", "--porcelain") == ""
    assert git(spec.path, "symbolic-ref", "HEAD") == "refs/heads/aegis/r1/w01"
    assert (spec.path / "한글 폴더/파일 이름.txt").read_text() == "안녕\n"
    assert (spec.path / "run.bat").read_bytes() == b"echo\r\n"
    assert (spec.path / "link").is_symlink()
    assert tree.admin_dir.is_dir()


def test_worktrees_are_made_at_once_and_listed_with_their_instance(repo: Path, spec_for: MakeSpec, add: Add) -> None:
    add(repo, *(spec_for(f"w0{number}") for number in range(1, 6)))

    async def listed() -> dict[str | None, str | None]:
        entries = await (await open_repository(repo)).list_worktrees()
        return {entry.instance: entry.branch for entry in entries}

    assert asyncio.run(listed()) == {None: "main"} | {f"w0{n}": f"aegis/r1/w0{n}" for n in range(1, 6)}


def test_a_worktree_is_locked_against_git_itself(repo: Path, git: Shell, spec_for: MakeSpec, add: Add) -> None:
    spec = spec_for("w01")
    add(repo, spec)
    code, output = git.attempt(repo, "worktree", "remove", "--force", str(spec.path))
    assert code != 0
    assert "aegis-tui w01" in output


def test_adding_again_keeps_the_work_in_it(repo: Path, git: Shell, spec_for: MakeSpec, add: Add) -> None:
    spec = spec_for("w01")
    add(repo, spec)
    (spec.path / "src/a.py").write_text("half done\n")
    (spec.path / ".git").unlink()
    add(repo, spec)
    assert (spec.path / "src/a.py").read_text() == "half done\n"
    assert git(spec.path, "diff", "--name-only") == "src/a.py"
    assert git(repo, "for-each-ref", "refs/aegis") == ""


def test_a_worktree_cut_off_before_its_files_is_made_again(
    repo: Path, git: Shell, spec_for: MakeSpec, add: Add
) -> None:
    spec = spec_for("w01")
    spec.path.parent.mkdir(parents=True)
    git(
        repo,
        "worktree",
        "add",
        "-q",
        "--no-checkout",
        "--lock",
        "--reason",
        "aegis-tui w01",
        "-b",
        spec.branch,
        str(spec.path),
    )
    (spec.path / "src").mkdir()
    shutil.copyfile(repo / "src/a.py", spec.path / "src/a.py")
    add(repo, spec)
    assert git(spec.path, "status", "--porcelain") == ""
    assert git(repo, "for-each-ref", "refs/aegis") == ""
    assert len(git(repo, "worktree", "list").splitlines()) == 2


def test_what_a_cut_off_worktree_holds_beside_its_base_is_saved(
    repo: Path, git: Shell, spec_for: MakeSpec, add: Add
) -> None:
    spec = spec_for("w01")
    spec.path.parent.mkdir(parents=True)
    git(repo, "worktree", "add", "-q", "--lock", "--reason", "aegis-tui w01", "-b", spec.branch, str(spec.path))
    (spec.path / "new.txt").write_text("somebody's\n")
    add(repo, spec)
    assert git(repo, "show", "refs/aegis/rescue/r1/w01/1:new.txt") == "somebody's"


def test_a_worktree_git_forgot_is_saved_and_made_again_with_its_commits(
    repo: Path, git: Shell, spec_for: MakeSpec, add: Add
) -> None:
    spec = spec_for("w01")
    [tree] = add(repo, spec)
    (spec.path / "src/c.py").write_text("c\n")
    git(spec.path, "add", ".")
    git(spec.path, "commit", "-qm", "c")
    (spec.path / "src/d.py").write_text("d\n")
    shutil.rmtree(tree.admin_dir)
    add(repo, spec)
    assert (spec.path / "src/c.py").exists()
    assert git(repo, "show", "refs/aegis/rescue/r1/w01/1:src/d.py") == "d"


def test_a_worktree_whose_folder_was_deleted_comes_back_and_its_staged_content_is_saved(
    repo: Path, git: Shell, spec_for: MakeSpec, add: Add
) -> None:
    spec = spec_for("w01")
    add(repo, spec)
    (spec.path / "src/c.py").write_text("c\n")
    git(spec.path, "add", "src/c.py")
    shutil.rmtree(spec.path)
    add(repo, spec)
    assert git(spec.path, "status", "--porcelain") == ""
    assert git(repo, "show", "refs/aegis/rescue/r1/w01/1:src/c.py") == "c"


def test_a_folder_of_somebody_else_is_not_taken(repo: Path, spec_for: MakeSpec, add: Add) -> None:
    spec = spec_for("w01")
    spec.path.mkdir(parents=True)
    (spec.path / "theirs").write_text("x")
    with pytest.raises(Refused):
        add(repo, spec)
    assert (spec.path / "theirs").read_text() == "x"


def test_a_worktree_of_the_person_is_left_alone(repo: Path, git: Shell, tmp_path: Path, remove: Remove) -> None:
    own = tmp_path / "own"
    git(repo, "worktree", "add", "-q", "-b", "own", str(own))
    with pytest.raises(Refused):
        remove(repo, own)
    assert (own / "README.md").is_file()


def test_a_scratch_worktree_is_replaced_and_removed_without_a_rescue(repo: Path, git: Shell, tmp_path: Path) -> None:
    path = tmp_path / "qa"
    oid = git(repo, "rev-parse", "HEAD")

    async def run() -> None:
        repository = await open_repository(repo)
        for _ in range(2):
            scratch = await repository.add_scratch(path, oid)
            assert scratch.branch is None
            assert (path / "README.md").read_text() == "shop\n"
            (path / "README.md").write_text("dirt\n")
        assert await repository.remove_worktree(path, rescue=None) is None
        path.mkdir()
        with pytest.raises(Conflict):
            await repository.add_scratch(path, oid)

    asyncio.run(run())
    assert git(repo, "for-each-ref", "refs/aegis") == ""


def test_names_that_are_not_utf8_are_in_their_written_form(repo: Path, git: Shell, tmp_path: Path) -> None:
    name, module = os.fsdecode(b"latin\351.txt"), os.fsdecode(b"modul\351")
    (repo / name).write_text("1\n")
    (repo / ".gitmodules").write_text("")
    git(repo, "add", ".")
    head = git(repo, "rev-parse", "HEAD")
    git(repo, "update-index", "--add", "--cacheinfo", f"160000,{head},{module}")
    git(repo, "commit", "-qm", "Odd names")

    async def run() -> tuple[tuple[str, ...], tuple[str, ...]]:
        repository = await open_repository(repo)
        scratch = await repository.add_scratch(tmp_path / "qa", git(repo, "rev-parse", "HEAD"))
        (scratch.path / name).write_text("2\n")
        return scratch.empty, await repository.restore_scratch(scratch)

    assert asyncio.run(run()) == (('"modul\\351"',), ('"latin\\351.txt"',))
    assert (tmp_path / "qa" / name).read_text() == "1\n"


def test_no_hook_of_the_person_runs_for_what_the_hub_does(repo: Path, git: Shell, tmp_path: Path) -> None:
    for name in ("post-checkout", "reference-transaction", "post-index-change", "post-commit"):
        hook = repo / ".git/hooks" / name
        hook.write_text(f"#!/bin/sh\necho {name} >> '{tmp_path}/seen'\n")
        hook.chmod(0o755)
    base = git(repo, "rev-parse", "HEAD")

    async def run() -> None:
        repository = await open_repository(repo)
        await repository.add_scratch(tmp_path / "qa", base)
        await repository.update_ref("refs/heads/aegis/r1/integration", base, None)
        await repository.remove_worktree(tmp_path / "qa", rescue=None)

    asyncio.run(run())
    assert not (tmp_path / "seen").exists()


def test_a_full_cycle_leaves_the_persons_repository_as_it_was(
    repo: Path, git: Shell, agent: Shell, spec_for: MakeSpec, tmp_path: Path
) -> None:
    (repo / "src/b.py").write_text("stash me\n")
    git(repo, "stash", "-q")
    (repo / "src/a.py").write_text("uncommitted\n")
    (repo / "README.md").write_text("staged\n")
    git(repo, "add", "README.md")
    own = tmp_path / "own tree"
    git(repo, "worktree", "add", "-q", "-b", "own", str(own))

    def state() -> tuple[Any, ...]:
        here = {name: raw for name, raw in inventory(repo).items() if not name.startswith(".git/")}
        refs = git(repo, "for-each-ref", "refs/heads/main", "refs/heads/own", "refs/stash")
        kept = [(repo / ".git" / name).read_bytes() for name in ("index", "HEAD", "config")]
        return here, refs, kept, git(repo, "worktree", "list", "--porcelain"), git(repo, "stash", "list")

    before = state()
    base = git(repo, "rev-parse", "HEAD")
    specs = [spec_for("w01", "src/a.py"), spec_for("w02", "src/b.py"), spec_for("w03", "docs/**")]

    async def cycle() -> None:
        repository = await open_repository(repo)
        await repository.preflight("r1")
        assert (await repository.facts()).dirty_paths == 2
        integration = specs[0].guard.integration_ref
        await repository.update_ref(integration, base, None)
        tip = base
        for number, spec in enumerate(specs):
            await repository.add_worktree(spec)
            target = spec.path / (spec.guard.allow[0].replace("**", "x.md"))
            target.parent.mkdir(exist_ok=True)
            target.write_text(f"work {number}\n")
            agent(spec.path, "add", ".")
            agent(spec.path, "commit", "-qm", f"Work {number}")
            piece = await repository.resolve(spec.branch)
            assert piece is not None
            result = await repository.compose(integration, piece, expect_oid=tip, message="m\n", at=1_700_000_000)
            tip = result.oid
        tree = await repository.tree_of(tip)
        await repository.add_scratch(tmp_path / "qa", tip)
        done = await repository.squash(tree=tree, parent=base, branch="aegis/r1/result", message="feat: x\n", at=1)
        await repository.keep("r1", "composed", tip)
        for spec in specs:
            assert await repository.remove_worktree(spec.path, rescue=RescueName("r1", spec.instance)) is None
        await repository.remove_worktree(tmp_path / "qa", rescue=None)
        assert await repository.tree_of(done) == tree

    asyncio.run(cycle())
    git(repo, "fsck", "--full", "--no-dangling")
    assert state() == before
    assert git(repo, "log", "--format=%an <%ae>", "-1", "aegis/r1/w02") == "NATIVE-w02 <w02@aegis.invalid>"
    assert git(repo, "log", "--format=%an <%ae>", "-1", "aegis/r1/result") == "Ada Person <ada@example.org>"


def test_worktrees_are_made_from_a_bare_repository_and_its_configuration_comes_back(
    repo: Path, git: Shell, spec_for: MakeSpec, tmp_path: Path, add: Add, remove: Remove
) -> None:
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", str(repo), str(bare))
    own = tmp_path / "own"
    git(bare, "worktree", "add", "-q", "-b", "own", str(own))
    config = (bare / "config").read_bytes()
    spec = spec_for("w01")
    add(bare, spec)
    assert git(spec.path, "status", "--porcelain") == ""
    assert git(own, "status", "--porcelain") == ""
    assert git(bare, "rev-parse", "--is-bare-repository") == "true"
    (spec.path / "src/a.py").write_text("changed\n")
    assert remove(bare, spec.path) is not None
    assert (bare / "config").read_bytes() == config
    assert not (bare / "config.worktree").exists()


def test_a_git_folder_named_by_a_submodule_is_served_too(
    repo: Path, git: Shell, spec_for: MakeSpec, tmp_path: Path, add: Add, remove: Remove
) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repo), "sub")
    config = outer / ".git/modules/sub/config"
    before = config.read_bytes()
    spec = spec_for("w01")
    add(outer / "sub", spec)
    assert git(outer / "sub", "status", "--porcelain") == ""
    assert git(spec.path, "status", "--porcelain") == ""
    remove(outer / "sub", spec.path)
    assert config.read_bytes() == before


def test_a_commit_writes_only_where_the_sandbox_lets_it(
    repo: Path, git: Shell, agent: Shell, spec_for: MakeSpec, add: Add
) -> None:
    spec = spec_for("w01")
    common = repo / ".git"
    [tree] = add(repo, spec)

    async def mounts() -> Any:
        return await (await open_repository(repo)).git_mounts(tree)

    allowed = asyncio.run(mounts())
    assert all(folder.is_dir() for folder in (*allowed.read_write, *allowed.branches))
    stamp = spec.path.parent / "stamp"
    stamp.write_text("")
    before = inventory(common)
    (spec.path / "src/a.py").write_text("changed\n")
    agent(spec.path, "commit", "-qam", "Change")
    after = inventory(common)
    touched = {common / name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    find = ["find", str(common), "-newer", str(stamp), "-type", "f"]
    touched |= {Path(line) for line in subprocess.check_output(find, text=True).splitlines()}
    assert touched
    for path in touched:
        assert any(path.is_relative_to(folder) for folder in (*allowed.read_write, *allowed.branches)), path
        assert not any(path.is_relative_to(folder) for folder in allowed.read_only), path
