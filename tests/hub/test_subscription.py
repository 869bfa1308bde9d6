"""What a stream may ask to hear: each field is checked, and the connection outlives a refusal (HUB-4)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, unix_connect

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress

SUBSCRIBE = {"type": "subscribe"}
FILE = {"type": "file:subscribe"}
NAMES = [f"note:{number}" for number in range(101)]


async def hello(address: HubAddress, **fields: Any) -> tuple[ClientConnection, dict[str, Any]]:
    stream = await unix_connect(address.socket, "ws://localhost/v1/stream", compression=None)
    return stream, await ask(stream, {"type": "hello", "token": address.token, **fields})


async def ask(stream: ClientConnection, frame: dict[str, Any]) -> dict[str, Any]:
    await stream.send(json.dumps(frame))
    reply: dict[str, Any] = json.loads(await asyncio.wait_for(stream.recv(), 5))
    return reply


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        ({**SUBSCRIBE, "types": 5}, "types must be a list of strings"),
        ({**SUBSCRIBE, "types": "lock:*"}, "types must be a list of strings"),
        ({**SUBSCRIBE, "types": {"a": 1}}, "types must be a list of strings"),
        ({**SUBSCRIBE, "types": [5]}, "types: 5 is not a string"),
        ({**SUBSCRIBE, "types": ["lock:*", ""]}, "types: a name is empty"),
        ({**SUBSCRIBE, "types": ["x" * 101]}, "is over 100 characters"),
        ({**SUBSCRIBE, "types": NAMES}, "types: at most 100 are allowed, not 101"),
        ({**SUBSCRIBE, "after": -5}, "after must be a whole number"),
        ({**SUBSCRIBE, "after": "x"}, "after must be a whole number"),
        ({**SUBSCRIBE, "v": 2}, "v: only version 1"),
        (FILE, "path must be a glob, as a string"),
        ({**FILE, "path": None}, "path must be a glob, as a string"),
        ({**FILE, "path": 5}, "path must be a glob, as a string"),
        ({"type": "hello", "types": "lock:*"}, "types must be a list of strings"),
        ({"type": "hello", "types": [None]}, "types: null is not a string"),
        ({"type": "hello", "types": [""]}, "types: a name is empty"),
        ({"type": "hello", "paths": "src/**"}, "paths must be a list of strings"),
        ({"type": "hello", "paths": [5]}, "paths: 5 is not a string"),
        ({"type": "hello", "paths": NAMES}, "paths: at most 100 are allowed, not 101"),
    ],
)
def test_a_field_that_is_wrong_is_refused_with_its_name(
    paths: WorkspacePaths, frame: dict[str, Any], told: str
) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            stream, _ = await hello(address, types=[])
            refused = await ask(stream, {**frame, "request_id": "r"})
            assert (refused["ok"], refused["request_id"], refused["error"]["code"]) == (False, "r", "usage")
            assert told in refused["error"]["message"]
            assert (await ask(stream, {"type": "context:get", "request_id": "c"}))["ok"] is True
            if frame["type"] == "hello":
                first, refused = await hello(address, **{key: frame[key] for key in frame if key != "type"})
                assert told in refused["error"]["message"]
                assert (await ask(first, {"type": "subscribe"}))["ok"] is True
                await first.close()
            await stream.close()

    asyncio.run(main())


@pytest.mark.parametrize("request_id", [7, "", "x" * 201, {"a": 1}, ["x"], "\ud800"])
def test_a_request_id_that_fits_no_reply_is_refused_without_it(paths: WorkspacePaths, request_id: object) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            stream, _ = await hello(address, types=[])
            for kind in ("subscribe", "heartbeat"):
                refused = await ask(stream, {"type": kind, "request_id": request_id})
                assert (refused["request_id"], refused["error"]["code"]) == (None, "usage")
                assert "request_id must be a string" in refused["error"]["message"]
            await stream.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("frames", "heard"),
    [
        ([{"type": "hello"}], True),
        ([{"type": "hello", "types": None}], True),
        ([{"type": "hello", "types": []}], False),
        ([{"type": "hello", "types": [], "paths": []}], False),
        ([{"type": "hello", "types": [], "paths": ["src/**"]}], True),
        ([{"type": "hello", "types": []}, SUBSCRIBE], True),
        ([{"type": "hello", "types": []}, {**SUBSCRIBE, "types": None}], True),
        ([{"type": "hello"}, {**SUBSCRIBE, "types": []}], False),
        ([{"type": "hello"}, {**FILE, "path": "src/**"}], True),
        ([{"type": "hello"}, {**FILE, "path": "docs/**"}], False),
    ],
)
def test_an_empty_list_selects_nothing_and_a_field_left_out_selects_all(
    paths: WorkspacePaths, frames: list[dict[str, Any]], heard: bool
) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            stream, _ = await hello(address, **{key: frames[0][key] for key in frames[0] if key != "type"})
            for frame in frames[1:]:
                assert (await ask(stream, frame))["ok"] is True
            await stream.send(json.dumps({"type": "lock:acquire", "path": "src/a.py"}))
            await stream.send(json.dumps({"type": "context:get", "request_id": "end"}))
            told: list[dict[str, Any]] = []
            while "end" not in [frame.get("request_id") for frame in told]:
                told.append(json.loads(await asyncio.wait_for(stream.recv(), 5)))
            assert ("lock:acquired" in [frame.get("type") for frame in told]) is heard
            await stream.close()

    asyncio.run(main())
