import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress, HubQuick

Join = Callable[[HubAddress, str], Coroutine[Any, Any, EnsembleClient]]


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[WorkspacePaths]:
    """The folders of a workspace; the runtime folder is short, for the sockets."""
    runtime = Path(tempfile.mkdtemp(prefix="ah", dir="/tmp"))
    yield WorkspacePaths("0123456789ab", tmp_path / "state", runtime / "k")
    shutil.rmtree(runtime)


@pytest.fixture
def join() -> Join:
    """Joins an agent by hand and gives its client, not yet connected."""

    async def join_as(address: HubAddress, instance_id: str) -> EnsembleClient:
        def register() -> str:
            reply = HubQuick(address).command("agent:register", agent_type="CLAUDE", instance_id=instance_id)
            return Path(reply["token_file"]).read_text()

        token = await asyncio.to_thread(register)
        return EnsembleClient(f"unix:{address.socket}", token=token, offline_s=5.0)

    return join_as
