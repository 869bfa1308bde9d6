"""A person's checkout and a commit of it, on which QA commands are run as the hub runs them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aegis_tui.adapters.environment.caches import CacheFinder
from aegis_tui.adapters.environment.included import IncludedFiles
from aegis_tui.adapters.environment.project import ProjectEnvironment
from aegis_tui.adapters.environment.provision import EnvironmentParts, ProvidedEnvironment
from aegis_tui.adapters.environment.submodule_files import SubmoduleFiles
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.adapters.program import SubprocessRunner
from aegis_tui.adapters.result_files import LocalResultFiles
from aegis_tui.adapters.sandbox.bubblewrap import BubblewrapSandbox
from aegis_tui.config import EnvironmentSettings, Limits
from aegis_tui.domain.run.events import RunFacts, RunOptions
from aegis_tui.domain.run.model import Run
from aegis_tui.orchestrator.qa_run import CommandRun, QaRunner
from aegis_tui.ports.sandbox import SandboxMode
from aegis_tui.sdk.environments import EnvironmentFolder


@dataclass
class Lab:
    """A person's checkout whose shop says 1, and a commit in which it says 2."""

    folder: Path
    environ: dict[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"]})
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.root, self.state = self.folder / "repo", self.folder / "state"
        self.state.mkdir(parents=True)
        self.root.mkdir()
        self.write(".gitignore", ".venv\nnode_modules\n")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def git(self, *arguments: str) -> str:
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
        argv = ["git", "-C", str(self.root), "-c", "user.name=P", "-c", "user.email=p@example.org", *arguments]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, check=True).stdout.strip()

    def commit_change(self, name: str, before: str, after: str) -> str:
        """A commit with `after` in a file; the checkout stays at the one with `before`."""
        self.write(name, before)
        self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-qm", "before")
        self.write(name, after)
        self.git("commit", "-qam", "after")
        changed = self.git("rev-parse", "HEAD")
        self.git("checkout", "-q", "--detach", "HEAD~1")
        return changed

    def virtualenv(self, place: str = ".venv") -> tuple[Path, Path]:
        venv = Path(os.path.normpath(self.root / place))
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
        return venv, next((venv / "lib").glob("python*/site-packages"))

    def run(
        self,
        oid: str,
        *commands: str,
        sandbox: SandboxMode,
        timeout_s: float = 60.0,
        meanwhile: Callable[[], Coroutine[None, None, None]] | None = None,
    ) -> list[CommandRun]:
        """What became of each command on a commit; `meanwhile` runs in the same event loop."""

        async def run_all() -> list[CommandRun]:
            beside = asyncio.create_task(meanwhile()) if meanwhile else None
            try:
                return list((await self.begin(oid, dict.fromkeys(commands, timeout_s), sandbox=sandbox)).values())
            finally:
                if beside is not None:
                    beside.cancel()

        return asyncio.run(run_all())

    async def begin(self, oid: str, limits_s: Mapping[str, float], *, sandbox: SandboxMode) -> Mapping[str, CommandRun]:
        """As `run`, in the caller's event loop."""
        runner = await self.runner()
        facts = RunFacts(workspace="k", base_oid=oid, base_branch="main", started_unix=1)
        run = Run(run="run1", goal="g", options=RunOptions(sandbox=sandbox), facts=facts, working_oid=oid)
        return await runner.run_all(run, oid, limits_s, "merged")

    async def runner(self) -> QaRunner:
        """The hub's runner of commands, for this checkout."""
        repository = await open_repository(self.root)
        return QaRunner(
            repository=repository,
            sandbox=BubblewrapSandbox({**self.environ, "HOME": os.environ["HOME"]}, self.limits),
            programs=SubprocessRunner(),
            scratch_dir=self.state,
            environ=self.environ,
            surroundings=ProvidedEnvironment(
                EnvironmentParts(
                    root=repository.root,
                    project=ProjectEnvironment(repository.root, repository.common_dir, self.environ),
                    included=IncludedFiles(repository.root, repository.common_dir),
                    environments=EnvironmentFolder(self.folder / "environments"),
                    submodules=SubmoduleFiles(repository.common_dir),
                    caches=CacheFinder({"HOME": os.environ["HOME"], **self.environ}),
                    ports_dir=self.folder / "ports",
                    find_settings=EnvironmentSettings,
                )
            ),
            result_files=LocalResultFiles(),
            limits=self.limits,
        )
