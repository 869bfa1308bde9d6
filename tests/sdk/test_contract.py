"""What contract 10 promises of the client, and what an outside program leans on (HUB-6)."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.errors import Conflict, GitUnavailable
from aegis_tui.sdk import EnsembleClient
from aegis_tui.sdk.discovery import WorkspacePaths, workspace_key_of, workspace_paths
from aegis_tui.sdk.quick import HubQuick

NAMES = {
    "connect",
    "subscribe_file",
    "acquire_lock",
    "renew_lock",
    "release_lock",
    "broadcast_change",
    "get_shared_context",
    "update_task_state",
    "on",
    "close",
    "__aenter__",
    "__aexit__",
}


def test_every_name_of_the_contract_is_there_with_types() -> None:
    for name in NAMES:
        signature = inspect.signature(getattr(EnsembleClient, name))
        assert signature.return_annotation is not inspect.Signature.empty, name
        for parameter in list(signature.parameters.values())[1:]:
            assert parameter.annotation is not inspect.Parameter.empty, (name, parameter)


def test_the_package_itself_imports_nothing() -> None:
    code = "import sys, aegis_tui.sdk; print(any(name in sys.modules for name in ('websockets', 'asyncio')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "False\n"
    with pytest.raises(ImportError):
        exec("from aegis_tui.sdk import Nothing")


def test_a_client_without_arguments_finds_the_hub_of_its_folder_or_its_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paths: WorkspacePaths
) -> None:
    for name in ("AEGIS_HUB", "AEGIS_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(paths.runtime_dir.parent))
    root = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", str(root)], check=True, timeout=30)
    here = workspace_paths(workspace_key_of(root), {"XDG_STATE_HOME": str(tmp_path / "state")})
    here = WorkspacePaths(here.key, here.state_dir, paths.runtime_dir.parent / "aegis-tui" / here.key)
    monkeypatch.chdir(root)

    async def main() -> None:
        async with open_hub(here, port=0) as (address, _):
            async with EnsembleClient() as person:
                assert person.agent_id == "person"
            register = HubQuick(address).command
            reply = await asyncio.to_thread(register, "agent:register", agent_type="CLAUDE", instance_id="one")
            monkeypatch.setenv("AEGIS_HUB", f"unix:{address.socket}")
            monkeypatch.setenv("AEGIS_TOKEN_FILE", reply["token_file"])
            client = await EnsembleClient().connect()
            assert client.agent_id == "CLAUDE-one"
            await client.close()

    asyncio.run(main())
    monkeypatch.delenv("AEGIS_HUB")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GitUnavailable):
        EnsembleClient()


def test_a_lock_that_was_lost_inside_its_block_is_told_at_the_end(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _), await join(address, "one") as one:
            person = HubQuick(address)
            with pytest.raises(Conflict):
                async with one.lock("a.py") as grant:
                    await asyncio.to_thread(person.command, "lock:break", lock_id=grant.lock_id, reason="needed")
            with pytest.raises(ZeroDivisionError):
                async with one.lock("a.py") as grant:
                    await asyncio.to_thread(person.command, "lock:break", lock_id=grant.lock_id, reason="needed")
                    raise ZeroDivisionError

    asyncio.run(main())


def test_a_client_that_beats_keeps_its_session_and_a_silent_one_loses_it(
    paths: WorkspacePaths, join: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_tui.domain.core.SESSION_TTL_S", 1.0)

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine):
            await join(address, "silent")
            await join(address, "lively")
            token = (paths.instances_dir / "lively" / "token").read_text()
            person = EnsembleClient(f"unix:{address.socket}", token=address.token)
            async with EnsembleClient(f"unix:{address.socket}", token=token, beat_s=0.1):
                async with asyncio.timeout(20), aclosing(person.events(types=["agent:left"], after=0)) as events:
                    assert (await anext(events)).agent_id == "CLAUDE-silent"
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(anext(events), 1.5)
                alive = await engine.read(lambda workspace: [item.agent_id for item in workspace.instances.alive()])
                assert alive == ["CLAUDE-lively"]
            await person.close()

    asyncio.run(main())


def test_a_context_that_is_young_enough_is_not_asked_for_again(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _), await join(address, "one") as one:
            first = await one.get_shared_context()
            await one.acquire_lock("a.py")
            assert await one.get_shared_context(max_age_s=600) == first
            assert "a.py" in (await one.get_shared_context())["locks"]

    asyncio.run(main())
