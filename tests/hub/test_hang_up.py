"""A client that hangs up while it waits for a lock leaves nothing behind (LOCK-2)."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.domain.workspace import Workspace
from aegis_tui.hub.engine import Engine
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress


def wish(address: HubAddress, **fields: Any) -> http.client.HTTPConnection:
    host, port = address.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    headers = {"Authorization": f"Bearer {address.token}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/commands", json.dumps(fields), headers)
    return connection


async def comes_to(engine: Engine, *, waits: int) -> None:
    def count(workspace: Workspace) -> int:
        return len(workspace.locks.waits())

    async for _ in engine.changes():
        if await engine.read(count) == waits:
            return


def test_a_wait_over_rest_ends_with_its_connection(paths: WorkspacePaths, join: Any) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine), await join(address, "one") as one:
            held = await one.acquire_lock("a.py")
            wanted = {"type": "lock:acquire", "path": "a.py", "wait_s": 60}
            gone = await asyncio.to_thread(wish, address, **wanted)
            await comes_to(engine, waits=1)
            gone.close()
            await comes_to(engine, waits=0)
            stays = await asyncio.to_thread(wish, address, **wanted)
            await comes_to(engine, waits=1)
            await one.release_lock(held.lock_id, held.token)
            reply = json.loads((await asyncio.to_thread(stays.getresponse)).read())
            assert reply["ok"] and reply["request_id"] and reply["locks"][0]["path"] == "a.py"
            stays.close()

    asyncio.run(main())
