"""The whole job against a real vLLM server (CPU build, tiny random model, scripted by a logits processor).

Needs the vLLM kit: `AEGIS_VLLM_KIT` names its folder, else `shared/vllm-kit` beside the checkout. What it builds
(3.5 GB, some minutes) is kept in `AEGIS_VLLM_CACHE`, else in the user's cache folder. Built only when this marker is
asked for: `pytest -m real_vllm`.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from aegis_tui.testing.sample_repository import create_sample_repository, scenario_directory
from aegis_tui.testing.scenario import load_scenario
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import Served

pytestmark = [pytest.mark.real_vllm, pytest.mark.timeout(1800)]

BUILD_DEADLINE_S = 1500
BOOT_DEADLINE_S = 180.0


def kit_folder() -> Path:
    named = os.environ.get("AEGIS_VLLM_KIT")
    return Path(named) if named else Path(__file__).parents[3] / "shared" / "vllm-kit"


def built_folder() -> Path:
    named = os.environ.get("AEGIS_VLLM_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "aegis-tui" / "vllm-kit"


@pytest.fixture(scope="module")
def kit(request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """The kit, and the folder that holds what it built."""
    folder, built = kit_folder(), built_folder()
    chosen = str(request.config.getoption("markexpr"))
    is_asked_for = "real_vllm" in chosen and "not real_vllm" not in chosen
    if not (folder / "setup.sh").exists() or not (is_asked_for or (built / "model").exists()):
        pytest.skip("missing: vllm-kit")
    if not (built / "model" / "config.json").exists():
        argv = ["bash", str(folder / "setup.sh"), str(built)]
        subprocess.run(argv, check=True, capture_output=True, timeout=BUILD_DEADLINE_S)
    return folder, built


@pytest.fixture(scope="module")
def base_url(kit: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A vLLM that says what the calm scenario says."""
    folder, built = kit
    scripts = tmp_path_factory.mktemp("scripts")
    write_kit_scripts(scripts)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = (scripts / "server.log").open("wb")
    argv = ["bash", str(folder / "serve.sh"), str(built), str(port), str(scripts)]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def write_kit_scripts(folder: Path) -> None:
    """The calm scenario in the kit's form: one call a step."""
    for name, script in load_scenario(scenario_directory("calm")).scripts.items():
        steps = [{"tool": call.tool, "args": call.args} for step in script.scripts[0].steps for call in step.tool_calls]
        (folder / f"{name}.json").write_text(json.dumps({"steps": steps}), "utf-8")


def wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + BOOT_DEADLINE_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise TimeoutError(f"vLLM did not come up; status {process.poll()}")


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
