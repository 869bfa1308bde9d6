"""The repository in which real agent programs work, and the model that tells them what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.agents.search_path import search_path
from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.sample_repository import scenario_directory
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import SHOP

Steps = Sequence[dict[str, Any]]


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    scratch = ScratchWorkspace()
    scratch.environ["PATH"] = search_path(os.environ)
    scratch.init(SHOP)
    yield scratch
    scratch.aegis("hub", "stop", "--force")
    left = scratch.leftovers()
    scratch.close()
    assert left == []


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    """Starts the scripted server with a worker's steps, or with those of each worker by its name.

    The reviewer is the one of the calm scenario.
    """
    servers: list[RecordedLLM] = []

    def start(
        steps: Steps | Mapping[str, Steps], *names: str, more: Sequence[dict[str, Any]] = (), **section: Any
    ) -> RecordedLLM:
        folder = tmp_path / "scenario"
        folder.mkdir()
        reviewer = (scenario_directory("calm") / "reviewer.json").read_text("utf-8")
        (folder / "reviewer.json").write_text(reviewer.replace("src/shop/routes.py", "src/app.py"), "utf-8")
        scripts = steps if isinstance(steps, Mapping) else dict.fromkeys(names or ("worker",), steps)
        for name, lines in scripts.items():
            mine = json.loads(json.dumps(list(lines)).replace("NAME", name))
            script = {"scripts": [{"steps": mine, "side": "scripted", **section}, *more]}
            (folder / f"{name}.json").write_text(json.dumps(script), "utf-8")
        servers.append(RecordedLLM(folder))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
