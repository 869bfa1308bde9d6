"""Real repositories in a folder of their own, under a configuration of their own."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from aegis_tui.adapters.git.environment import agent_git_environment
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.ports.repository import Guard, RescueName, RescueRef, Worktree, WorktreeSpec


@dataclass(frozen=True)
class Shell:
    """Runs git as a person or as an agent does, in a folder."""

    env: dict[str, str]

    def __call__(self, cwd: Path, *args: str) -> str:
        code, output = self.attempt(cwd, *args)
        assert code == 0, output
        return output

    def attempt(self, cwd: Path, *args: str) -> tuple[int, str]:
        done = subprocess.run(
            ["git", *args],
            cwd=cwd,
            env=self.env,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=30,
            check=False,
        )
        return done.returncode, (done.stdout + done.stderr).rstrip("\n")


@pytest.fixture(autouse=True)
def _own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    config = home / ".gitconfig"
    config.write_text("[user]\n\tname = Ada Person\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n")
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def git(_own_configuration: None) -> Shell:
    """Git as the person runs it."""
    return Shell({**os.environ, "LC_ALL": "C", "GIT_EDITOR": "true"})


@pytest.fixture
def agent(git: Shell) -> Shell:
    """Git as an agent runs it."""
    return Shell({**git.env, **agent_git_environment()})


@pytest.fixture
def repo(tmp_path: Path, git: Shell) -> Path:
    """A repository with one commit: names with spaces and Korean, a link, a file with CRLF."""
    root = tmp_path / "shop 상점"
    files = {
        "README.md": "shop\n",
        ".gitignore": "*.log\n",
        ".gitattributes": "*.bat text eol=crlf\nCHANGES merge=union\n",
        "CHANGES": "start\n",
        "run.bat": "echo\r\n",
        "src/a.py": "".join(f"a{line}\n" for line in range(20)),
        "src/b.py": "".join(f"b{line}\n" for line in range(20)),
        "web/page.html": "<p>\n",
        "한글 폴더/파일 이름.txt": "안녕\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    (root / "link").symlink_to("src/a.py")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "Start")
    return root


@pytest.fixture
def spec_for(tmp_path: Path, repo: Path, git: Shell) -> Callable[..., WorktreeSpec]:
    """Makes the order for a worktree of one worker."""

    def make(instance: str, *allow: str, run: str = "r1", base: str | None = None) -> WorktreeSpec:
        guard = Guard(
            agent_id=f"NATIVE-{instance}",
            own_ref=f"refs/heads/aegis/{run}/{instance}",
            integration_ref=f"refs/heads/aegis/{run}/integration",
            allow=allow or ("src/**",),
            hooks_dir=tmp_path / "state dir" / "instances" / instance / "hooks",
            joint=("CHANGES",),
            shared=("README.md",),
            owners=(("web/**", "NATIVE-w09"),),
        )
        path = tmp_path / "state dir" / "worktrees" / instance
        base_oid = base or git(repo, "rev-parse", "HEAD")
        return WorktreeSpec(instance, path, f"aegis/{run}/{instance}", base_oid, guard)

    return make


@pytest.fixture
def add() -> Callable[..., list[Worktree]]:
    """Adds worktrees, all at once."""

    async def run(repo: Path, specs: tuple[WorktreeSpec, ...]) -> list[Worktree]:
        repository = await open_repository(repo)
        return list(await asyncio.gather(*(repository.add_worktree(spec) for spec in specs)))

    return lambda repo, *specs: asyncio.run(run(repo, specs))


@pytest.fixture
def remove() -> Callable[..., RescueRef | None]:
    """Removes a worktree of `w01`; says where its work was saved."""

    async def run(repo: Path, path: Path, rescue: RescueName | None, saved: str | None) -> RescueRef | None:
        return await (await open_repository(repo)).remove_worktree(path, rescue=rescue, already_saved=saved)

    def apply(
        repo: Path, path: Path, rescue: RescueName | None = RescueName("r1", "w01"), saved: str | None = None
    ) -> RescueRef | None:
        return asyncio.run(run(repo, path, rescue, saved))

    return apply


@pytest.fixture
def spec(repo: Path, spec_for: Callable[..., WorktreeSpec]) -> WorktreeSpec:
    """A guarded worktree of `w01`, which may write `src/**`."""
    made = spec_for("w01")

    async def run() -> None:
        await (await open_repository(repo)).add_worktree(made)

    asyncio.run(run())
    return made
