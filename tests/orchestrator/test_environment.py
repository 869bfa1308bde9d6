"""The set-up command of a project: asked for, run in the sandbox, once, and read as if an agent had left it (GIT-1)."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.environment.included import IncludedFiles
from aegis_tui.adapters.environment.prepared import PreparedFolders
from aegis_tui.adapters.environment.project import ProjectEnvironment
from aegis_tui.adapters.environment.survey import CheckoutSurvey
from aegis_tui.adapters.git.describe import list_files
from aegis_tui.adapters.git.repository import GitRepository, open_repository
from aegis_tui.adapters.program import SubprocessRunner
from aegis_tui.adapters.sandbox.bubblewrap import BubblewrapSandbox
from aegis_tui.config import EnvironmentSettings, Limits
from aegis_tui.domain.environment.model import EnvironmentPlan, MadeFacts
from aegis_tui.domain.run.events import RunFacts, RunOptions
from aegis_tui.domain.run.model import Run
from aegis_tui.errors import Refused, SetupFailed
from aegis_tui.orchestrator.environment import EnvironmentMaker, EnvironmentPlanner
from aegis_tui.ports.sandbox import SandboxLevel, SandboxMode
from aegis_tui.sdk.environments import EnvironmentFolder

ALLOWED = "2026-01-01T00:00:00+00:00"


class Desk:
    """A repository with a set-up command, and what makes its environments."""

    def __init__(self, folder: Path, setup: str, *, files: dict[str, str] | None = None, **settings: Any) -> None:
        self.root, self.state = folder / "repo", folder / "state"
        self.root.mkdir()
        self.state.mkdir()
        for name, text in {"pyproject.toml": "[project]\n", ".gitignore": ".venv/\nout/\n", **(files or {})}.items():
            (self.root / name).write_text(text)
        self.git("init", "-q", "-b", "main")
        self.commit()
        self.settings = EnvironmentSettings(setup=setup, **settings)
        self.environments = EnvironmentFolder(self.state / "environments")
        self.environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "MY_INDEX": "https://u:p@index"}
        self.level = SandboxLevel.BUBBLEWRAP
        self.spare_bytes = 0

    def git(self, *arguments: str) -> str:
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
        argv = ["git", "-C", str(self.root), "-c", "user.name=P", "-c", "user.email=p@example.org", *arguments]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "change", "--allow-empty")

    def planner(self, repository: GitRepository) -> EnvironmentPlanner:
        project = ProjectEnvironment(repository.root, repository.common_dir, self.environ)
        included = IncludedFiles(repository.root, repository.common_dir)

        async def files(oid: str) -> dict[str, str]:
            return await list_files(repository.common_dir, oid)

        return EnvironmentPlanner(
            find_settings=lambda: self.settings,
            list_files=files,
            read_blob=repository.read_blob,
            survey=CheckoutSurvey(repository.root, project, included, lambda: self.settings),
            is_allowed=lambda key: key in self.environments.allowed(),
        )

    def plan(self) -> EnvironmentPlan:
        async def plan() -> EnvironmentPlan:
            repository = await open_repository(self.root)
            return await self.planner(repository).plan(self.git("rev-parse", "HEAD"), self.level)

        return asyncio.run(plan())

    def allow(self) -> None:
        async def key() -> EnvironmentPlan:
            repository = await open_repository(self.root)
            files = await list_files(repository.common_dir, self.git("rev-parse", "HEAD"))
            return self.planner(repository).setup_of(self.settings, files)

        plan = asyncio.run(key())
        self.environments.allow(plan.key, plan.setup, network=plan.network, at=ALLOWED)

    def make(self, *, sandbox: SandboxMode = "auto") -> MadeFacts:
        async def make() -> MadeFacts | None:
            repository = await open_repository(self.root)
            maker = EnvironmentMaker(
                repository=repository,
                sandbox=BubblewrapSandbox(self.environ, Limits()),
                programs=SubprocessRunner(),
                environ=self.environ,
                prepared=PreparedFolders(self.environments, repository, [Path(sys.base_prefix)]),
                find_settings=lambda: self.settings,
                limits=Limits(),
                spare_bytes=self.spare_bytes,
            )
            oid = self.git("rev-parse", "HEAD")
            plan = await self.planner(repository).plan(oid, self.level)
            facts = RunFacts(workspace="k", base_oid=oid, base_branch="main", environment=plan)
            options = RunOptions(sandbox=sandbox)
            return await maker.make(Run(run="run1", goal="g", options=options, facts=facts, working_oid=oid))

        made = asyncio.run(make())
        assert made is not None
        return made

    def tree(self, made: MadeFacts) -> Path:
        return self.environments.tree(made.name)


@pytest.fixture
def desk(tmp_path: Path) -> Callable[..., Desk]:
    return lambda setup, **more: Desk(tmp_path, setup, **more)


def test_a_command_is_asked_for_until_it_is_allowed_and_again_when_something_changes(
    desk: Callable[..., Desk],
) -> None:
    place = desk("bash env.sh", files={"env.sh": "true\n"})
    with pytest.raises(Refused) as refused:
        place.plan()
    assert (refused.value.code, refused.value.exit_code) == ("environment.consent", 3)
    assert refused.value.data["inputs"] == ["env.sh", "pyproject.toml"]
    place.allow()
    first = place.plan()
    (place.root / "README.md").write_text("unrelated\n")
    place.commit()
    assert place.plan().key == first.key
    changes: list[Callable[[], object]] = [
        lambda: (place.root / "env.sh").write_text("false\n"),
        lambda: (place.root / "uv.lock").write_text("v2\n"),
        lambda: setattr(place, "settings", EnvironmentSettings(setup="bash env.sh; true")),
        lambda: setattr(place, "settings", EnvironmentSettings(setup="bash env.sh; true", network=True)),
    ]
    for change in changes:
        change()
        place.commit()
        with pytest.raises(Refused, match="not allowed"):
            place.plan()
        place.allow()
        assert place.plan().key != first.key


def test_an_uncommitted_script_or_a_pieces_change_is_not_what_was_allowed(desk: Callable[..., Desk]) -> None:
    place = desk("bash env.sh", files={"env.sh": "mkdir out; echo right > out/word\n"})
    place.allow()
    (place.root / "env.sh").write_text("mkdir out; echo wrong > out/word\n")
    made = place.make()
    assert (place.tree(made) / "out/word").read_text() == "right\n"


def test_a_command_that_leaves_no_space_on_the_disk_fails_and_what_it_made_is_removed(
    desk: Callable[..., Desk],
) -> None:
    place = desk("echo started; mkdir out; echo x > out/word")
    place.allow()
    place.spare_bytes = shutil.disk_usage(place.state).free * 2
    with pytest.raises(SetupFailed, match=r"less than \d+ MiB of disk space was left") as failed:
        place.make()
    assert list(place.environments.names()) == [] and Path(failed.value.data["log"]).read_text() == "started\n"
    place.spare_bytes = 0
    assert place.make().reused is False


def test_without_a_sandbox_the_network_must_be_allowed(desk: Callable[..., Desk]) -> None:
    place = desk("true")
    place.allow()
    place.level = SandboxLevel.NONE
    with pytest.raises(Refused) as refused:
        place.plan()
    assert refused.value.code == "environment.network"
    place.settings = EnvironmentSettings(setup="true", network=True)
    place.allow()
    assert place.plan().network


CONNECT = "python3 -c \"import socket; socket.create_connection(('127.0.0.1', {port}), 2)\""


@pytest.mark.parametrize("network", [False, True])
def test_the_command_has_the_network_only_if_it_may(desk: Callable[..., Desk], network: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = desk(CONNECT.format(port=server.getsockname()[1]), network=network)
        place.allow()
        if network:
            assert place.make().network
        else:
            with pytest.raises(SetupFailed) as failed:
                place.make()
            assert "it has no network unless environment.network is true" in failed.value.hint


SANDBOXED = """
test "$MY_INDEX" = https://u:p@index
test ! -e "$1/README.secret"
touch "$1/written" || true
git log -1 --format=%s
mkdir -p .venv/bin out; touch .venv/pyvenv.cfg loose; ln -s /usr/bin/python3 .venv/bin/python
ln -s "$1" out/checkout; ln -s /etc/passwd out/passwd; mkfifo out/pipe; ln -s ../pyproject.toml out/inside
echo x > out/built; ls -d "$HOME" > out/home; touch "$HOME/left"; mkdir -p "$HOME/go/pkg/mod"
ln -s "$1" "$HOME/.cargo"; ln -s "$1" "$HOME/go/pkg/mod/theirs"; mkfifo "$HOME/go/pipe"; echo x > "$HOME/go/kept"
"""


def test_it_runs_confined_and_what_it_leaves_leads_nowhere(desk: Callable[..., Desk]) -> None:
    place = desk("x", files={"env.sh": SANDBOXED}, pass_on=["MY_INDEX"])
    (place.root / "README.secret").write_text("s")
    place.settings = EnvironmentSettings(setup=f"bash -eu env.sh {place.root}", pass_on=("MY_INDEX",))
    place.allow()
    made = place.make()
    tree, home = place.tree(made), place.environments.home(made.name)
    assert (made.copied, made.left_out) == (("out/",), ("loose",))
    assert sorted(entry.name for entry in (tree / "out").iterdir()) == ["built", "home", "inside"]
    assert sorted(entry.name for entry in tree.iterdir()) == [".venv", "loose", "out"], (
        "tracked files and .git are gone"
    )
    assert (tree / ".venv/bin/python").exists()
    assert sorted(str(path.relative_to(home)) for path in home.rglob("*")) == ["go", "go/kept", "go/pkg", "go/pkg/mod"]
    assert not (place.root / "written").exists()
    assert place.git("worktree", "list").count("\n") == 0
    assert "change" in place.environments.log(made.name).read_text()


def test_it_is_made_once_per_base_and_shared_where_nothing_was_built_from_sources(desk: Callable[..., Desk]) -> None:
    place = desk("python3 -m venv --without-pip .venv")
    place.allow()
    first = place.make()
    (place.root / "new.py").write_text("1\n")
    place.commit()
    again = place.make()
    assert (first.reused, again.reused, again.name) == (False, True, first.name)
    place.settings = EnvironmentSettings(setup="mkdir out; cp pyproject.toml out/built", keep=1)
    place.allow()
    built = place.make()
    assert place.make().reused
    (place.root / "new.py").write_text("2\n")
    place.commit()
    other = place.make()
    assert (other.reused, other.name == built.name) == (False, False)
    assert [item.name for item in place.environments.made()] == [other.name], "only so many are kept"


def test_the_log_can_be_read_while_the_command_runs(desk: Callable[..., Desk]) -> None:
    place = desk("echo begun; while test ! -e ../home/go; do sleep 0.05; done; echo ended")
    place.allow()

    def watch() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if any("begun" in path.read_text() for path in place.environments.logs()):
                seen.append("begun")
                next(place.environments.path.glob("*/home")).joinpath("go").mkdir()
                return
            time.sleep(0.05)

    seen: list[str] = []
    watcher = threading.Thread(target=watch)
    watcher.start()
    made = place.make()
    watcher.join()
    assert seen == ["begun"] and place.environments.log(made.name).read_text() == "begun\nended\n"


def test_a_command_that_fails_says_why_and_leaves_only_its_log(desk: Callable[..., Desk]) -> None:
    place = desk("echo first; rm .git; echo 'no such package: x' >&2; exit 3")
    place.allow()
    with pytest.raises(SetupFailed) as failed:
        place.make()
    assert failed.value.message == "the set-up command failed with exit code 3: no such package: x"
    assert failed.value.is_certain and "first" in Path(failed.value.data["log"]).read_text()
    assert list(place.environments.names()) == [] and place.git("worktree", "list").count("\n") == 0
    pip = (
        "echo 'ERROR: No matching distribution found for x'; echo; echo 'note: this is likely no fault of pip'; exit 1"
    )
    place.settings = EnvironmentSettings(setup=pip)
    place.allow()
    with pytest.raises(SetupFailed, match=r"exit code 1: ERROR: No matching distribution found for x$"):
        place.make()
    place.settings = EnvironmentSettings(setup="sleep 60", timeout_s=0.5)
    place.allow()
    with pytest.raises(SetupFailed, match="took too long"):
        place.make()


def test_what_a_killed_hub_left_is_made_anew(desk: Callable[..., Desk]) -> None:
    place = desk("mkdir out; echo 1 > out/built")
    place.allow()
    made = place.make()
    (place.environments.path / made.name / "environment.json").unlink()
    place.git("worktree", "add", "-q", "--detach", str(place.tree(made) / "sub"))
    place.git("worktree", "remove", "--force", str(place.tree(made) / "sub"))
    again = place.make()
    assert (again.reused, again.name) == (False, made.name)
    assert (place.tree(again) / "out/built").read_text() == "1\n"


def test_what_the_project_needs_and_nothing_provides_is_named(desk: Callable[..., Desk]) -> None:
    needs = '[project]\ndependencies = ["left-pad>=1", "Other_Thing"]\n'
    place = desk("x", files={"pyproject.toml": needs, "package.json": '{"dependencies": {"a": "1"}}'})
    place.settings = EnvironmentSettings()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place.root / ".venv")], check=True)
    site = next((place.root / ".venv/lib").glob("python*/site-packages"))
    (site / "other_thing-2.dist-info").mkdir()
    assert place.plan().missing == (
        "package.json asks for a, but there is no node_modules; run your package manager in your checkout, "
        "or set environment.setup",
        "pyproject.toml asks for left-pad, which .venv does not have; install it into .venv, or set environment.setup",
    )
    (site / "left_pad-1.0.dist-info").mkdir()
    (place.root / "node_modules/a").mkdir(parents=True)
    assert place.plan().missing == ()
