"""PERF-1: how long one event takes to its last receiver, some of whom read nothing."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from scripts.bench.hub_place import bench_hub
from scripts.bench.wire import RawAgent, RawStream, allow_many_files

PAYLOAD = "x" * 200
_FLOOD_EVENTS, _FLOOD_BYTES = 100, 20_000


class _Crowd:
    """Receivers that only count what reaches them."""

    def __init__(self) -> None:
        self.streams: list[RawStream] = []
        self._marker = b""
        self._missing = 0
        self._last_s = 0.0
        self._complete: asyncio.Event = asyncio.Event()

    async def join(self, socket: str, token: str) -> None:
        """One receiver more, who hears of every event."""
        stream = await RawStream.open(socket, self._took)
        stream.send({"v": 1, "type": "hello", "token": token, "types": ["note:*"]})
        self.streams.append(stream)

    def expect(self, marker: str, count: int) -> None:
        """Wait from now on for `count` messages that hold the marker."""
        self._marker, self._missing = marker.encode(), count
        self._complete.clear()

    def _took(self, text: bytes) -> None:
        if self._marker and self._marker in text:
            self._missing -= 1
            if not self._missing:
                self._last_s = time.perf_counter()
                self._complete.set()

    async def last_s(self) -> float:
        """When the last of them came."""
        async with asyncio.timeout(20):
            await self._complete.wait()
        return self._last_s


def fanout_run(subscribers: int, *, stalled_share: float, events: int) -> list[float]:
    """Milliseconds from the command's first byte to the last delivery, one for each event."""
    allow_many_files()
    with bench_hub() as (_, address):
        return asyncio.run(_measure(address.socket, address.token, subscribers, stalled_share, events))


async def _measure(socket: str, token: str, subscribers: int, stalled_share: float, events: int) -> list[float]:
    crowd, sender = _Crowd(), await RawAgent.open(socket, token)
    try:
        for _ in range(subscribers):
            await crowd.join(socket, token)
        await asyncio.sleep(0.5)
        stalled = crowd.streams[: int(subscribers * stalled_share)]
        for stream in stalled:
            stream.stall()
        await _flood(crowd, sender, subscribers - len(stalled), enough=bool(stalled))
        return [await _one(crowd, sender, f"mark-{number}-", subscribers - len(stalled)) for number in range(events)]
    finally:
        sender.close()
        for stream in crowd.streams:
            stream.close()


async def _flood(crowd: _Crowd, sender: RawAgent, awake: int, *, enough: bool) -> None:
    """Fill what the kernel and the hub hold back for the stalled, so that they lag for real."""
    for number in range(_FLOOD_EVENTS if enough else 5):
        crowd.expect(f"flood-{number}-", awake)
        await sender.ask(_note(f"flood-{number}-", "x" * (_FLOOD_BYTES if enough else 10)))
        await crowd.last_s()


async def _one(crowd: _Crowd, sender: RawAgent, marker: str, awake: int) -> float:
    crowd.expect(marker, awake)
    start = time.perf_counter()
    await sender.ask(_note(marker, PAYLOAD))
    last = await crowd.last_s()
    await asyncio.sleep(0.01)
    return (last - start) * 1000


def _note(marker: str, pad: str) -> dict[str, Any]:
    return {"type": "broadcast", "event": "note:bench", "data": {"m": marker, "pad": pad}}
