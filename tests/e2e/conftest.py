"""Workspaces and model servers for whole runs. A workspace's end says what was left behind."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from aegis_tui.testing.driver import GateOpener
from aegis_tui.testing.playground import scripted_server
from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.sample_repository import create_sample_repository, scenario_directory
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import Served

WIDE_WORDS = "┃한글 위젯 검색 🙂 끝 ✅┃"
"""What both workers of a held run say first."""

Scripted = Callable[[Path], RecordedLLM]


@contextmanager
def open_workspace(name: str = "repo") -> Iterator[ScratchWorkspace]:
    """The sample repository in a workspace of its own; nothing of it is left at the end, or the test fails."""
    scratch = Served()
    try:
        scratch.root = scratch.folder / name
        create_sample_repository(scratch.root)
        yield scratch
        scratch.aegis("hub", "stop")
        left = scratch.leftovers()
    finally:
        scratch.close()
    assert left == []
    assert not scratch.folder.exists()


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with open_workspace() as scratch:
        yield scratch


@pytest.fixture(scope="module")
def korean_workspace() -> Iterator[ScratchWorkspace]:
    """A workspace that the tests of one file share; its path is not ASCII and has a space."""
    with open_workspace("저장소 하나") as scratch:
        yield scratch


@pytest.fixture(scope="module")
def boundary_workspace() -> Iterator[ScratchWorkspace]:
    with open_workspace() as scratch:
        yield scratch


@pytest.fixture(scope="module")
def other_server() -> Iterator[str]:
    """The URL of a model server that is not ours: it does what the lines `FILE <path>: <content>` of a task say."""
    program = Path(__file__).parents[1] / "agent" / "other_model_server.py"
    process = subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.fixture(scope="module")
def scripted() -> Iterator[Scripted]:
    """Starts a scripted model server for a scenario folder; all are stopped at the end."""
    servers: list[RecordedLLM] = []

    def start(scenario: Path) -> RecordedLLM:
        servers.append(RecordedLLM(scenario))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def calm(scripted: Scripted) -> RecordedLLM:
    """The model of the scenario in which nobody is in anybody's way."""
    return scripted(scenario_directory("calm"))


@dataclass(frozen=True)
class HeldRun:
    """A run in MONITORING whose workers, w01 and so on, wait for a reply until `release`."""

    workspace: ScratchWorkspace
    release: Callable[[], None]


@pytest.fixture(scope="module")
def shown_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeldRun]:
    """A held run that the tests of one file look at; none of them ends anything of it."""
    with hold_run(tmp_path_factory.mktemp("shown")) as held:
        yield held


@contextmanager
def hold_run(tmp_path: Path, *, settings: str = "", workers: int = 2) -> Iterator[HeldRun]:
    """A run of the calm scenario, in which the first so many features have a worker that waits for a reply."""
    with open_workspace() as workspace, scripted_server(_held_scenario(tmp_path), tmp_path, pace=0) as card:
        config = workspace.folder / "config" / "aegis-tui" / "config.toml"
        config.parent.mkdir()
        config.write_text(settings, "utf-8")
        goal, design = "Add a search and receipts", _calm_design(tmp_path, workers)
        options = ["--design", str(design), "--base-url", str(card["url"]), "--note", "reviewer=[[script:reviewer]]"]
        answer = workspace.aegis("run", goal, *options, "--detach", "--json")
        assert answer.code == 0, answer.err
        workspace.until(lambda: _at_work(workspace) == workers, what="the workers")
        opener = GateOpener(card["gates_url"], card["admin_token"])
        (workspace.folder / "screen").mkdir()
        try:
            yield HeldRun(workspace, lambda: opener("held"))
        finally:
            opener("held")
            workspace.aegis("hub", "stop", "--force")


def _calm_design(folder: Path, workers: int) -> Path:
    found = YAML(typ="safe", pure=True).load((scenario_directory("calm") / "design.yaml").read_text("utf-8"))
    path = folder / "design.yaml"
    path.write_text(json.dumps({**found, "features": found["features"][:workers]}), "utf-8")  # JSON is YAML
    return path


def _at_work(workspace: ScratchWorkspace) -> int:
    states = [item["state"] for item in workspace.status().get("instances", [])]
    return sum(state not in ("done", "ended", "starting", "idle") for state in states)


def _held_scenario(folder: Path) -> Path:
    scenario = folder / "scenario"
    shutil.copytree(scenario_directory("calm"), scenario)
    for name in ("search", "receipt"):
        path = scenario / f"{name}.json"
        script = json.loads(path.read_text("utf-8"))
        first = {"say": WIDE_WORDS, "tool": "read", "args": {"path": "README.md"}}
        held, *rest = script["steps"] if "steps" in script else script["scripts"][0]["steps"]
        steps = [first, {**held, "gate": "held"}, *rest]
        path.write_text(json.dumps({"steps": steps}), "utf-8")
    return scenario
