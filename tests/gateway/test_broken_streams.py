"""One process ends in the middle of 32 streams: the other streams stay whole, each broken one is told (LLM-10)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import TOKEN, Gateway, until

CHAT = "/v1/chat/completions"
TOKENS = 120
BENCH = Path(__file__).resolve().parent.parent.parent / "scripts" / "bench"
ASK = {"model": "paced", "max_tokens": TOKENS, "stream": True}
ONE_SECOND = 80
"""How many tokens the model server sends to a stream in a second."""


@contextmanager
def process(name: str) -> Iterator[subprocess.Popen[str]]:
    """One of the programs of the benchmark."""
    program = subprocess.Popen(
        [sys.executable, str(BENCH / name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield program
    finally:
        program.kill()
        program.communicate()


@contextmanager
def endpoint() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A model server in a process of its own, and its address."""
    with process("gateway_upstream.py") as program:
        assert program.stdout is not None
        yield program, f"http://127.0.0.1:{int(program.stdout.readline())}/v1"


class Stream:
    """One stream as its client sees it."""

    def __init__(self) -> None:
        self.received = b""
        self.has_begun = asyncio.Event()
        self.is_cut = False
        """Whether its connection ended before its body did."""

    @property
    def tokens(self) -> int:
        return self.received.count(b'"content":')

    @property
    def is_whole(self) -> bool:
        return (
            self.tokens == TOKENS
            and self.received.endswith(b"data: [DONE]\n\n")
            and not self.is_cut
            and b'"error"' not in self.received
        )

    @property
    def error(self) -> str:
        """The code of the error event that ends it."""
        last = self.received.decode().strip().rpartition("\n\n")[2]
        value: dict[str, Any] = json.loads(last.removeprefix("data: "))
        return str(value["error"]["code"])

    async def read(self, client: httpx.AsyncClient) -> None:
        try:
            async with client.stream("POST", CHAT, json=ASK) as answer:
                assert answer.status_code == 200
                async for part in answer.aiter_raw():
                    self.received += part
                    if self.tokens >= 3:
                        self.has_begun.set()
        except httpx.RemoteProtocolError as error:
            assert "incomplete" in str(error)
            self.is_cut = True
        except httpx.ReadError:  # a process that was killed can also reset its connections
            self.is_cut = True


@contextmanager
def gateway_to(gateway: Gateway, url: str) -> Iterator[None]:
    gateway.write_map(url)
    gateway.start()
    yield


async def begun(streams: list[Stream]) -> None:
    """Return when each stream has had a few tokens."""
    async with asyncio.timeout(20):
        await asyncio.gather(*(stream.has_begun.wait() for stream in streams))
    assert not any(stream.is_whole for stream in streams)


def client_of(gateway: Gateway) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(gateway.runtime / "gateway.sock"))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.AsyncClient(transport=transport, base_url="http://g", headers=headers, timeout=30)


def test_an_endpoint_that_is_killed_breaks_its_own_streams_and_each_is_told(gateway_folders: Gateway) -> None:
    with ExitStack() as stack:
        dying, first_url = stack.enter_context(endpoint())
        _, second_url = stack.enter_context(endpoint())
        stack.enter_context(gateway_to(gateway_folders, first_url))

        async def main() -> tuple[list[Stream], list[Stream]]:
            broken, others = [Stream() for _ in range(16)], [Stream() for _ in range(16)]
            async with client_of(gateway_folders) as client, asyncio.TaskGroup() as group:
                for stream in broken:
                    group.create_task(stream.read(client))
                await begun(broken)
                gateway_folders.write_map(second_url)
                for stream in others:
                    group.create_task(stream.read(client))
                await begun(others)
                dying.kill()
            return broken, others

        broken, others = asyncio.run(main())
    assert all(stream.is_whole for stream in others)
    assert [(stream.error, stream.is_cut) for stream in broken] == [("upstream.lost", True)] * 16
    errors = [line["error"] for line in gateway_folders.wait_for_lines(32)]
    assert (errors.count("upstream.lost"), errors.count(None)) == (16, 16)


def test_a_gateway_that_is_killed_breaks_every_stream_and_the_next_one_serves(gateway_folders: Gateway) -> None:
    with endpoint() as (_, url), gateway_to(gateway_folders, url):

        async def main() -> list[Stream]:
            streams = [Stream() for _ in range(32)]
            async with client_of(gateway_folders) as client, asyncio.TaskGroup() as group:
                for stream in streams:
                    group.create_task(stream.read(client))
                await begun(streams)
                assert gateway_folders.process is not None
                gateway_folders.process.kill()
            return streams

        streams = asyncio.run(main())
        assert all(stream.is_cut and not stream.is_whole for stream in streams)
        assert gateway_folders.process is not None
        gateway_folders.process.wait(10)
        gateway_folders.start()
        assert gateway_folders.client().post(CHAT, json={**ASK, "max_tokens": 2}).text.endswith("data: [DONE]\n\n")


def test_a_gateway_that_is_stopped_tells_each_stream(gateway_folders: Gateway) -> None:
    with endpoint() as (_, url):
        gateway_folders.write_map(url)
        gateway_folders.start(numbers={"aegis_tui.gateway.server:_GRACE_S": 0.2})

        async def main() -> list[Stream]:
            streams = [Stream() for _ in range(32)]
            async with client_of(gateway_folders) as client, asyncio.TaskGroup() as group:
                for stream in streams:
                    group.create_task(stream.read(client))
                await begun(streams)
                await asyncio.to_thread(gateway_folders.stop)
            return streams

        streams = asyncio.run(main())
    assert [(stream.error, stream.is_cut) for stream in streams] == [("gateway.stopped", True)] * 32
    assert [line["error"] for line in gateway_folders.wait_for_lines(32)] == ["gateway.stopped"] * 32


def test_a_client_that_is_killed_ends_its_own_calls_and_no_others(gateway_folders: Gateway) -> None:
    with endpoint() as (_, url), gateway_to(gateway_folders, url), process("gateway_client.py") as dying:
        port = int(gateway_folders.published["url"].rpartition(":")[2])
        target = {"name": "gateway", "port": port, "token": TOKEN}
        asked = {"do": "together", "target": target, "body": {**ASK, "max_tokens": 100 * ONE_SECOND}, "count": 8}
        assert dying.stdin is not None
        dying.stdin.write(json.dumps({**asked, "spacing_s": 0}) + "\n")
        dying.stdin.flush()
        usage = gateway_folders.client()

        def running() -> int:
            number: int = usage.get("/v1/usage").json()["agents"]["NATIVE-w01"]["running"]
            return number

        until(lambda: running() == 8, "the other process has its streams")

        async def main() -> list[Stream]:
            streams = [Stream() for _ in range(24)]
            async with client_of(gateway_folders) as client, asyncio.TaskGroup() as group:
                for stream in streams:
                    group.create_task(stream.read(client))
                await begun(streams)
                dying.kill()
            return streams

        streams = asyncio.run(main())
        assert all(stream.is_whole for stream in streams)
        until(lambda: running() == 0, "every call has ended")
    errors = [line["error"] for line in gateway_folders.wait_for_lines(32)]
    assert (errors.count("cancelled"), errors.count(None)) == (8, 24)


@pytest.fixture(autouse=True)
def _quiet_end(gateway_folders: Gateway) -> Iterator[None]:
    """Let the gateway end by itself, so that what it logs is complete."""
    yield
    if gateway_folders.process is not None and gateway_folders.process.poll() is None:
        gateway_folders.stop()
    assert "Traceback" not in (gateway_folders.state / "gateway.log").read_text()
