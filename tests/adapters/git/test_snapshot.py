from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.errors import Refused
from aegis_tui.ports.repository import RescueRef, Worktree, WorktreeSpec

Shell = Any
MakeSpec = Callable[..., WorktreeSpec]
Add = Callable[..., list[Worktree]]
Remove = Callable[..., RescueRef | None]


def test_removal_saves_uncommitted_untracked_and_staged_content(
    repo: Path, git: Shell, spec_for: MakeSpec, add: Add, remove: Remove
) -> None:
    spec = spec_for("w01")
    add(repo, spec)
    (spec.path / "src/a.py").write_text("staged\n")
    git(spec.path, "add", "src/a.py")
    (spec.path / "src/a.py").write_text("changed\n")
    (spec.path / "새 파일.txt").write_text("new\n")
    (spec.path / "x.log").write_text("ignored\n")
    (spec.path / "README.md").unlink()
    saved = remove(repo, spec.path)
    assert saved is not None
    assert saved.ref == "refs/aegis/rescue/r1/w01/1"
    assert not spec.path.exists()
    assert git(repo, "show", f"{saved.ref}:src/a.py") == "changed"
    assert git(repo, "show", f"{saved.ref}:새 파일.txt") == "new"
    assert git(repo, "show", f"{saved.ref}^2:src/a.py") == "staged"
    names = git(repo, "ls-tree", "-r", "--name-only", saved.ref)
    assert "x.log" not in names
    assert "README.md" not in names
    assert git(repo, "rev-parse", spec.branch)
    assert list(spec.path.parent.iterdir()) == []


def test_a_clean_worktree_leaves_no_rescue(
    repo: Path, git: Shell, spec_for: MakeSpec, add: Add, remove: Remove
) -> None:
    spec = spec_for("w01")
    add(repo, spec)
    assert remove(repo, spec.path) is None
    assert remove(repo, spec.path) is None
    assert git(repo, "for-each-ref", "refs/aegis") == ""


def test_content_that_is_kept_elsewhere_needs_no_rescue(
    repo: Path, git: Shell, spec_for: MakeSpec, add: Add, remove: Remove
) -> None:
    spec = spec_for("w01")
    add(repo, spec)
    (spec.path / "src/a.py").write_text("changed\n")

    async def tree() -> str:
        return await (await open_repository(repo)).snapshot_tree(spec.path)

    assert remove(repo, spec.path, saved=asyncio.run(tree())) is None


def test_commits_on_a_detached_head_are_rescued(
    repo: Path, git: Shell, spec_for: MakeSpec, add: Add, remove: Remove
) -> None:
    spec = spec_for("w01")
    add(repo, spec)
    git(spec.path, "checkout", "-q", "--detach")
    (spec.path / "src/a.py").write_text("changed\n")
    git(spec.path, "commit", "-qam", "adrift")
    saved = remove(repo, spec.path)
    assert saved is not None
    assert git(repo, "show", f"{saved.ref}:src/a.py") == "changed"


def test_the_second_rescue_of_an_instance_gets_the_next_number(
    repo: Path, spec_for: MakeSpec, add: Add, remove: Remove
) -> None:
    spec = spec_for("w01")
    for number in (1, 2):
        add(repo, spec)
        (spec.path / "src/a.py").write_text(f"{number}\n")
        saved = remove(repo, spec.path)
        assert saved is not None
        assert saved.ref == f"refs/aegis/rescue/r1/w01/{number}"


def test_a_repository_inside_a_worktree_stops_its_removal(
    repo: Path, git: Shell, spec_for: MakeSpec, add: Add, remove: Remove
) -> None:
    spec = spec_for("w01")
    add(repo, spec)
    inner = spec.path / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    git(inner, "commit", "-q", "--allow-empty", "-m", "inner")
    with pytest.raises(Refused, match="inner"):
        remove(repo, spec.path)
    assert (inner / ".git").is_dir()


def test_an_instances_worktree_is_not_removed_without_a_name_to_save_it_for(
    repo: Path, spec_for: MakeSpec, add: Add, remove: Remove
) -> None:
    spec = spec_for("w01")
    add(repo, spec)
    with pytest.raises(Refused):
        remove(repo, spec.path, None)
    assert spec.path.is_dir()


def test_a_snapshot_touches_neither_index_nor_files_and_is_the_same_twice(
    repo: Path, git: Shell, spec_for: MakeSpec, add: Add
) -> None:
    spec = spec_for("w01")
    [tree] = add(repo, spec)
    (spec.path / "src/new 새.py").write_text("new\n")
    (spec.path / "src/a.py").write_text("changed\n")
    before = (tree.admin_dir / "index").read_bytes(), git(spec.path, "status", "--porcelain")

    async def run() -> tuple[str, str, str]:
        repository = await open_repository(repo)
        return (
            await repository.snapshot_tree(spec.path),
            await repository.snapshot_commit(spec.path),
            await repository.snapshot_commit(spec.path),
        )

    oid, first, second = asyncio.run(run())
    assert first == second
    assert git(repo, "rev-parse", f"{first}^{{tree}}") == oid
    assert git(repo, "rev-parse", f"{first}^") == spec.base_oid
    assert git(repo, "show", f"{oid}:src/new 새.py") == "new"
    assert git(repo, "show", f"{oid}:src/a.py") == "changed"
    assert (tree.admin_dir / "index").read_bytes() == before[0]
    assert git(spec.path, "status", "--porcelain") == before[1]


@pytest.mark.boundary(
    layer="hub files",
    tried="filter and fsmonitor programs in the configuration and attributes of a worktree",
    refused="the hub's git does not read that configuration, so no program starts",
)
def test_settings_an_agent_writes_into_its_worktree_start_no_program_of_ours(
    repo: Path, git: Shell, spec_for: MakeSpec, tmp_path: Path, add: Add, remove: Remove
) -> None:
    spec = spec_for("w01")
    add(repo, spec)
    trap = tmp_path / "trap"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{trap}'\ncat\n")
    program.chmod(0o755)
    git(spec.path, "config", "--worktree", "filter.evil.clean", str(program))
    git(spec.path, "config", "--worktree", "core.fsmonitor", str(program))
    (spec.path / ".gitattributes").write_text("* filter=evil\n")
    (spec.path / "src/a.py").write_text("changed\n")
    assert remove(repo, spec.path) is not None
    assert not trap.exists()


@pytest.mark.boundary(
    layer="hub files",
    tried="a submodule with a filter of its own",
    refused="the hub's git does not enter it, so no program starts",
)
def test_a_dirty_submodule_is_not_entered_by_a_snapshot(repo: Path, git: Shell, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    (library / "code").write_text("a\n")
    git(library, "add", ".")
    git(library, "commit", "-qm", "library")
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git(repo, "commit", "-qam", "with library")
    trap = tmp_path / "trap"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{trap}'\ncat\n")
    program.chmod(0o755)
    path = tmp_path / "qa"

    async def run() -> str:
        repository = await open_repository(repo)
        await repository.add_scratch(path, git(repo, "rev-parse", "HEAD"))
        shutil.rmtree(path / "lib")
        git(path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
        git(path / "lib", "config", "filter.evil.clean", str(program))
        (path / "lib/.gitattributes").write_text("* filter=evil\n")
        (path / "lib/code").write_text("b\n")
        (path / "README.md").write_text("changed\n")
        return await repository.snapshot_tree(path)

    tree = asyncio.run(run())
    assert git(repo, "show", f"{tree}:README.md") == "changed"
    assert git(repo, "rev-parse", f"{tree}:lib") == git(library, "rev-parse", "HEAD")
    assert not trap.exists()
