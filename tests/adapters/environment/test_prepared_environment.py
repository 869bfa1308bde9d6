"""What a sandbox shows for an environment that a set-up command made: itself, and nothing that it names (GIT-1)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from aegis_tui.adapters.environment.project import ProjectEnvironment


def test_a_link_that_a_commit_has_in_the_place_of_an_environment_stays_and_stops_nothing(tmp_path: Path) -> None:
    root, worktree = tmp_path / "repo", tmp_path / "worktree"
    (tmp_path / "home").mkdir()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / "node_modules/left").mkdir(parents=True)
    venv = _environment(root, tmp_path)
    for folder in (root, worktree):
        folder.mkdir(exist_ok=True)
        (folder / ".gitignore").write_text(".venv/\nnode_modules/\n")
    (worktree / ".venv").symlink_to(tmp_path)
    project = ProjectEnvironment(root, root / ".git", {"PATH": "/usr/bin"})
    around = asyncio.run(project.prepare(worktree, tmp_path / "home", (), confined=True, committed=True))
    assert (worktree / ".venv").readlink() == tmp_path and around.places == ("node_modules",)
    assert venv in around.read_only


def _environment(folder: Path, secret: Path) -> Path:
    venv = folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    next((venv / "lib").glob("python*/site-packages")).joinpath("x.pth").write_text(f"{secret}\n")
    settings = venv / "pyvenv.cfg"
    lines = [line for line in settings.read_text().splitlines() if not line.startswith("home")]
    settings.write_text("\n".join([f"home = {secret}/bin", *lines]))
    return venv


@pytest.mark.parametrize("is_prepared", [False, True])
def test_only_the_persons_own_environment_leads_a_sandbox_to_other_folders(tmp_path: Path, is_prepared: bool) -> None:
    root, prepared, worktree, secret = (tmp_path / name for name in ("repo", "prepared", "worktree", "secret"))
    for folder in (root, prepared, worktree, tmp_path / "home", secret / "bin", secret / "lib"):
        folder.mkdir(parents=True)
    venv = _environment(prepared if is_prepared else root, secret)
    project = ProjectEnvironment(root, root / ".git", {"PATH": "/usr/bin"})
    around = asyncio.run(
        project.prepare(worktree, tmp_path / "home", (), confined=True, prepared=prepared if is_prepared else None)
    )
    assert venv in around.read_only and around.environment["VIRTUAL_ENV"] == str(worktree / ".venv")
    shown = [path for path in around.read_only if path.is_relative_to(secret)]
    assert shown == ([] if is_prepared else [secret / "bin", secret / "lib", secret])
