"""What an agent is told of joint files when it locks them by MCP (LOCK-3)."""

from __future__ import annotations

import asyncio
from typing import Any

from aegis_tui.errors import Refused
from aegis_tui.sdk.joint_news import moved_on

WRITE = {"agent_id": "NATIVE-w02", "piece": "beta", "token": 7, "change": "changed", "diff": "+x"}


def test_writes_of_others_and_merged_pieces_are_told_for_each_file() -> None:
    async def ask(_command: str, **fields: Any) -> dict[str, Any]:
        if fields["path"] == "unknown":
            raise Refused("no")
        return {"writes": [{**WRITE, "change": "binary"} if fields["path"] == "a.bin" else WRITE], "merged": ["alpha"]}

    merged, write, _, binary, _, lockfile = asyncio.run(moved_on(ask, ["a.py", "unknown", "a.bin", "web/yarn.lock"]))
    assert "merged pieces: alpha" in merged and "git rebase" in merged
    assert "NATIVE-w02 has changed a.py before you" in write and write.endswith(":\n+x")
    assert "binary file" in binary
    assert "`yarn install` in web" in lockfile
