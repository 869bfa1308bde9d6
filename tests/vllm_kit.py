"""A real vLLM on the CPU with a tiny model, built by the vLLM kit, for tests with the marker `real_vllm`.

`AEGIS_VLLM_KIT` names the folder of the kit, else it is `shared/vllm-kit` beside the checkout. What the kit builds
(3.5 GB, some minutes) is kept in `AEGIS_VLLM_CACHE`, else in the user's cache folder.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

BUILD_DEADLINE_S = 1500
BOOT_DEADLINE_S = 180.0


def kit_folder() -> Path:
    named = os.environ.get("AEGIS_VLLM_KIT")
    return Path(named) if named else Path(__file__).parents[2] / "shared" / "vllm-kit"


def built_folder() -> Path:
    named = os.environ.get("AEGIS_VLLM_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "aegis-tui" / "vllm-kit"


def need_kit(request: pytest.FixtureRequest) -> None:
    """Skip unless the marker was asked for, or all is built already; build what is missing if it was asked for."""
    folder, built = kit_folder(), built_folder()
    chosen = str(request.config.getoption("markexpr"))
    is_asked_for = "real_vllm" in chosen and "not real_vllm" not in chosen
    if not (folder / "setup.sh").exists() or not (is_asked_for or (built / "model").exists()):
        pytest.skip("missing: vllm-kit")
    if not (built / "model" / "config.json").exists():
        argv = ["bash", str(folder / "setup.sh"), str(built)]
        subprocess.run(argv, check=True, capture_output=True, timeout=BUILD_DEADLINE_S)


def write_scripts(folder: Path, scripts: Mapping[str, Sequence[dict[str, Any]]], *, side: str = "A title") -> None:
    """Write what the model says, in the kit's form: the steps of each script."""
    for name, steps in scripts.items():
        (folder / f"{name}.json").write_text(json.dumps({"steps": list(steps), "side": side}), "utf-8")


@contextmanager
def serving(scripts: Path) -> Iterator[str]:
    """Serve until the block ends; yield the root URL, without /v1. The log is `server-PORT.log` in the folder."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    argv = ["bash", str(kit_folder() / "serve.sh"), str(built_folder()), str(port), str(scripts)]
    with (scripts / f"server-{port}.log").open("wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + BOOT_DEADLINE_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise TimeoutError(f"vLLM did not come up; status {process.poll()}")
