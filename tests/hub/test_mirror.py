"""The mirror: a person's copy of the state that goes on with events (design 2, TUI-1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.domain.core import Workspace, evolve, state_hash
from aegis_tui.domain.event import event_from_wire
from aegis_tui.sdk.discovery import workspace_paths
from aegis_tui.sdk.quick import HubAddress, HubQuick

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_mirror_and_the_events_after_it_give_the_hubs_state(tmp_path: Path) -> None:
    import asyncio
    import tempfile

    with tempfile.TemporaryDirectory(prefix="ae-") as runtime:
        environ = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "XDG_RUNTIME_DIR": runtime}
        paths = workspace_paths("0123456789ab", environ)
        async with open_hub(paths) as (address, engine):
            hub = HubQuick(address)

            def work() -> Workspace:
                hub.command("lock:acquire", path="src/a.py")
                mirror = Workspace.load(hub.mirror())
                hub.command("lock:acquire", path="src/한글.py")
                for event in hub.events(after=mirror.seq):
                    evolve(mirror, event_from_wire(event))
                return mirror

            mirror = await asyncio.to_thread(work)
            assert state_hash(mirror) == await engine.read(state_hash)
            assert isinstance(address, HubAddress)
