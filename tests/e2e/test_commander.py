"""A goal without a design: the Commander proposes one through the model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis_tui.testing.playground import Playground, open_playground
from aegis_tui.testing.scratch import ScratchWorkspace


@pytest.fixture
def ground() -> Iterator[Playground]:
    with open_playground("calm") as ground:
        yield ground


@pytest.fixture
def workspace(ground: Playground) -> Iterator[ScratchWorkspace]:
    scratch = ScratchWorkspace()
    scratch.root = Path(ground.repository)
    yield scratch
    left = scratch.leftovers()
    scratch.close()
    assert left == []


@pytest.mark.timeout(120)
def test_a_goal_alone_becomes_a_design_by_the_model_and_then_a_commit(
    ground: Playground, workspace: ScratchWorkspace
) -> None:
    answer = workspace.aegis(
        *("run", "Add a catalogue search and receipts to the shop", "--yes", "--headless", "--json"),
        *("--base-url", ground.base_url),
        *("--note", "commander=[[script:commander]]", "--note", "reviewer=[[script:reviewer]]"),
    )
    assert answer.code == 0, answer.err
    report = answer.json
    commander = report["instances"][0]
    assert (commander["role"], commander["partition"]) == ("commander", [])
    assert all(item["tokens"]["completion"] > 0 for item in report["instances"])
    assert {item["feature"] for item in report["instances"] if item["role"] == "worker"} == {"search", "receipt"}
    gates = {gate["name"]: gate["passed"] for gate in report["stages"][0]["gates"]}
    assert gates["design_agreed"]
    assert workspace.git("rev-parse", f"{report['commit']['branch']}^") == ground.base_oid
