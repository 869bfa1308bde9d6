"""The gateway as a child of the hub: started once, and gone when it is closed or its start is given up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from aegis_tui.adapters.gateway_process import GatewayProcess
from aegis_tui.adapters.llm.key import ModelKey
from aegis_tui.errors import Unavailable, UsageError
from aegis_tui.ports.gateway_plan import GatewayPlan
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.key_file import read_key

pytestmark = pytest.mark.anyio
NOWHERE = GatewayPlan("http://127.0.0.1:9/v1", "tiny", {"a" * 64: "NATIVE-w01"})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def paths(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkspacePaths]:
    runtime = tmp_path_factory.mktemp("r")
    runtime.chmod(0o700)
    (tmp_path / "logs").mkdir()
    yield WorkspacePaths("0" * 12, tmp_path, runtime)
    for process in gateways(runtime):
        process.kill()


def gateways(runtime: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if str(runtime) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


async def test_it_is_started_once_told_and_gone_after_the_close(paths: WorkspacePaths) -> None:
    told: list[tuple[str | None, str | None]] = []
    gateway = GatewayProcess(paths, paths.runtime_dir / "agents", lambda *where: told.append(where))
    for _ in range(2):
        await gateway.serve(NOWHERE)
    assert len(gateways(paths.runtime_dir)) == 1
    assert len(told) == 1 and (paths.runtime_dir / "agents" / "gateway.sock").is_socket()
    await gateway.close()
    assert gateways(paths.runtime_dir) == []
    assert told[1:] == [(None, None)]


async def test_its_end_is_known_to_the_loop_before_the_close_returns(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def keep(*argv: Any, **options: Any) -> asyncio.subprocess.Process:
        started.append(process := await start(*argv, **options))
        told = process._transport._process_exited  # type: ignore[attr-defined]
        late = partial(asyncio.get_running_loop().call_later, 0.3, told)
        monkeypatch.setattr(process._transport, "_process_exited", late)  # type: ignore[attr-defined]
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", keep)
    gateway = GatewayProcess(paths, paths.runtime_dir / "agents", lambda *_: None)
    await gateway.serve(NOWHERE)
    await gateway.close()
    assert [process.returncode for process in started] == [0]


async def test_a_start_that_is_given_up_leaves_no_process(paths: WorkspacePaths) -> None:
    gateway = GatewayProcess(paths, paths.runtime_dir / "agents", lambda *_: None)
    starting = asyncio.create_task(gateway.serve(NOWHERE))
    async with asyncio.timeout(10):
        while True:
            await asyncio.sleep(0.005)
            if gateways(paths.runtime_dir):
                break
    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting
    assert gateways(paths.runtime_dir) == []


async def test_a_start_that_is_given_up_late_leaves_no_socket(paths: WorkspacePaths) -> None:
    gateway = GatewayProcess(paths, paths.runtime_dir / "agents", lambda *_: None)
    starting = asyncio.create_task(gateway.serve(NOWHERE))
    async with asyncio.timeout(10):
        while True:
            await asyncio.sleep(0.001)
            if paths.gateway_socket.exists():
                break
    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting
    await gateway.close()
    assert [path.name for path in paths.runtime_dir.iterdir() if path.is_socket()] == []


async def test_one_that_ends_before_it_serves_is_told_with_its_log(paths: WorkspacePaths) -> None:
    paths.runtime_dir.chmod(0o755)
    gateway = GatewayProcess(paths, paths.runtime_dir / "agents", lambda *_: None)
    with pytest.raises(Unavailable) as caught:
        await gateway.serve(NOWHERE)
    assert "gateway.log" in caught.value.hint
    assert "other users can access" in (paths.state_dir / "logs" / "gateway.log").read_text()


async def test_the_map_names_the_key_file_and_a_key_kept_for_the_gateway_goes_with_it(paths: WorkspacePaths) -> None:
    key = ModelKey({"AEGIS_API_KEY": "sk-own", "HOME": str(paths.state_dir)})
    gateway = GatewayProcess(
        paths, paths.runtime_dir / "agents", lambda *_: None, find_key_file=partial(key.file, paths.runtime_dir)
    )
    await gateway.serve(NOWHERE)
    written = json.loads((paths.runtime_dir / "gateway-map.json").read_text())
    kept = Path(written["upstream_token_file"])
    assert read_key(kept) == "sk-own"
    assert "sk-own" not in json.dumps(written)
    assert not kept.is_relative_to(paths.runtime_dir / "agents")
    assert not any("sk-own" in " ".join(process.cmdline()) for process in gateways(paths.runtime_dir))
    await gateway.close()
    with pytest.raises(UsageError, match="No such file"):
        read_key(kept)
