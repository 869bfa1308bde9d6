"""The whole job against a real vLLM server (CPU build, tiny random model, scripted by a logits processor).

Needs the vLLM kit, see tests/vllm_kit.py. Built only when this marker is asked for: `pytest -m real_vllm`.
"""

from collections.abc import Iterator

import pytest

from aegis_tui.testing.sample_repository import create_sample_repository, scenario_directory
from aegis_tui.testing.scenario import load_scenario
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.vllm_kit import need_kit, serving, write_scripts
from tests.workspace import Served

pytestmark = [pytest.mark.real_vllm, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def base_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A vLLM that says what the calm scenario says, one call a step."""
    need_kit(request)
    scripts = tmp_path_factory.mktemp("scripts")
    calm = load_scenario(scenario_directory("calm")).scripts
    write_scripts(
        scripts,
        {
            name: [
                {"tool": call.tool, "args": call.args} for step in script.scripts[0].steps for call in step.tool_calls
            ]
            for name, script in calm.items()
        },
    )
    with serving(scripts) as url:
        yield url


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    scratch = Served()
    create_sample_repository(scratch.root)
    yield scratch
    left = scratch.leftovers()
    scratch.close()
    assert left == []


def test_a_goal_becomes_one_commit_with_a_design_from_the_model(base_url: str, workspace: ScratchWorkspace) -> None:
    answer = workspace.aegis(
        *("run", "Add a catalogue search and receipts to the shop", "--yes", "--headless", "--json"),
        *("--base-url", base_url),
        *("--note", "commander=[[script:commander]]", "--note", "reviewer=[[script:reviewer]]"),
    )
    assert answer.code == 0, answer.err + answer.out
    report = answer.json
    assert (report["ok"], report["scripted"]) == (True, False)
    assert report["instances"][0]["role"] == "commander"
    assert {item["feature"] for item in report["instances"] if item["role"] == "worker"} == {"search", "receipt"}
    assert all(item["tokens"]["prompt"] > 0 for item in report["instances"])
    assert sum(item["tokens"]["cached"] for item in report["instances"]) > 0
    assert [check["ok"] for check in report["qa"]] == [True]
    assert workspace.git("rev-parse", f"{report['commit']['branch']}^") == workspace.git("rev-parse", "main")


def test_doctor_finds_the_server_and_a_streamed_tool_call(base_url: str, workspace: ScratchWorkspace) -> None:
    answer = workspace.aegis("doctor", "--json", "--base-url", base_url)
    checks = {check["name"]: check for check in answer.json["checks"]}
    assert checks["model"]["ok"], checks["model"]
    assert "aegis-tiny" in checks["model"]["found"]
