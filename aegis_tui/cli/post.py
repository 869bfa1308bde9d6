"""How `send` gives a prompt and hears of it; apart, since no other command needs an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

from aegis_tui.application.prompt import deliver
from aegis_tui.sdk.quick import HubQuick

_POLL_S = 0.1


def send_prompt(hub: HubQuick, agent_id: str, text: str) -> tuple[int, bool]:
    """Its number, and whether its addressee has acknowledged it."""
    (result,) = asyncio.run(deliver(_Post(hub), [agent_id], text)).values()
    return result


class _Post:
    """Sends by single requests, and reads the log for what was acknowledged."""

    def __init__(self, hub: HubQuick) -> None:
        self._hub = hub

    async def send(self, agent_id: str, text: str) -> int:
        return int(self._hub.command("instance:send", agent_id=agent_id, text=text)["seq"])

    async def acknowledged(self, numbers: Collection[int], deadline_s: float) -> set[int]:
        end, after, waiting = time.monotonic() + deadline_s, min(numbers), set(numbers)
        while waiting and time.monotonic() < end:
            for event in self._hub.events(after=after, limit=500):
                after = event["seq"]
                if event["type"] == "message:acked":
                    waiting.discard(event["data"]["of"])
            if waiting:
                await asyncio.sleep(_POLL_S)
        return set(numbers) - waiting
