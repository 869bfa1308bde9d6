"""The person's own hooks still run in an instance's worktree, after the guard, wherever they are kept (GIT-6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_tui.ports.repository import WorktreeSpec
from tests.adapters.git.conftest import Shell
from tests.adapters.git.test_guard import refused, reguard, write


def test_the_persons_own_hooks_run_after_ours_and_can_refuse(
    repo: Path, agent: Shell, spec: WorktreeSpec, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    hooks = repo / ".git/hooks"
    for name in ("pre-commit", "commit-msg", "post-commit", "reference-transaction"):
        hook = hooks / name
        hook.write_text(f'#!/bin/sh\necho "{name} $1" >> "{seen}"\n')
        hook.chmod(0o755)
    write(spec, "src/a.py", "one\n")
    agent(spec.path, "commit", "-qam", "One")
    lines = seen.read_text().splitlines()
    assert [line.split()[0] for line in lines if not line.startswith("reference")] == [
        "pre-commit",
        "commit-msg",
        "post-commit",
    ]
    assert "reference-transaction prepared" in lines
    (hooks / "commit-msg").write_text("#!/bin/sh\necho ticket missing >&2\nexit 1\n")
    write(spec, "src/a.py", "two\n")
    assert "ticket missing" in refused(agent, spec.path, "commit", "-qam", "Two")


def test_hooks_in_a_folder_of_the_worktree_are_found(repo: Path, git: Shell, agent: Shell, spec: WorktreeSpec) -> None:
    git(repo, "config", "core.hooksPath", "src/hooks")
    reguard(repo, spec)
    write(spec, "src/hooks/pre-commit", "#!/bin/sh\necho own hook >&2\nexit 1\n")
    (spec.path / "src/hooks/pre-commit").chmod(0o755)
    agent(spec.path, "add", ".")
    assert "own hook" in refused(agent, spec.path, "commit", "-qm", "Work")


@pytest.mark.parametrize(
    ("everywhere", "here", "followed"),
    [("far", None, "far"), ("far", "near", "near")],
    ids=["everywhere", "this repository's goes first"],
)
def test_the_hooks_folder_nearest_to_the_repository_is_the_persons(
    repo: Path,
    git: Shell,
    agent: Shell,
    spec: WorktreeSpec,
    tmp_path: Path,
    everywhere: str,
    here: str | None,
    followed: str,
) -> None:
    for name in ("far", "near"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pre-commit").write_text(f"#!/bin/sh\necho {name} hook >&2\nexit 1\n")
        (tmp_path / name / "pre-commit").chmod(0o755)
    git(repo, "config", "--global", "core.hooksPath", str(tmp_path / everywhere))
    if here is not None:
        git(repo, "config", "core.hooksPath", str(tmp_path / here))
    reguard(repo, spec)
    write(spec, "src/a.py", "one\n")
    assert f"{followed} hook" in refused(agent, spec.path, "commit", "-qam", "One")
