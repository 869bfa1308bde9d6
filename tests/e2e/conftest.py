"""Workspaces and model servers for whole runs. A workspace's end says what was left behind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.sample_repository import create_sample_repository, scenario_directory
from aegis_tui.testing.scratch import ScratchWorkspace

Scripted = Callable[[Path], RecordedLLM]


@contextmanager
def open_workspace(name: str = "repo") -> Iterator[ScratchWorkspace]:
    """The sample repository in a workspace of its own; nothing of it is left at the end, or the test fails."""
    scratch = ScratchWorkspace()
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
