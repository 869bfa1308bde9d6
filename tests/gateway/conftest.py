"""A gateway process, and a little model server whose every byte a test decides."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from aegis_tui.sdk.listener import stop_accepting
from tests.forked import Program

TOKEN = "a1" * 32
OTHER_TOKEN = "b2" * 32
PERSON_TOKEN = "c3" * 32

CHAT_STREAM = (
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"gr\xc3\xbc\xc3\x9f dich"}}]}\r\n\r\n'
    b": a comment\n\n"
    b'data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":7,'
    b'"prompt_tokens_details":{"cached_tokens":64}}}\n\n'
    b"data: [DONE]\n\n"
)
MESSAGES_STREAM = (
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":20,'
    b'"cache_read_input_tokens":80,"output_tokens":1}}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"x"}}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":9}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)
RESPONSES_STREAM = (
    b'event: response.created\ndata: {"type":"response.created","response":{"usage":null}}\n\n'
    b'event: response.completed\ndata: {"type":"response.completed","response":{"usage":{"input_tokens":50,'
    b'"output_tokens":5,"input_tokens_details":{"cached_tokens":32}}}}\n\n'
)
METRICS = (
    "# TYPE vllm:num_requests_running gauge\n"
    'vllm:num_requests_running{engine="0",model_name="tiny"} 3.0\n'
    'vllm:num_requests_waiting{engine="0",model_name="tiny"} 1.0\n'
    'vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25\n'
    'vllm:prefix_cache_queries_total{engine="0",model_name="tiny"} 800.0\n'
    'vllm:prefix_cache_hits_total{engine="0",model_name="tiny"} 600.0\n'
    'vllm:generation_tokens_total{engine="0",model_name="tiny"} 1000.0\n'
)


@dataclass
class Seen:
    """One request as the model server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    """The number of the connection that it came on, from 1."""

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value


Answer = Callable[[Seen], AsyncIterator[bytes]]


@dataclass
class ModelServer:
    """Answers with the bytes that `answers[path]` yields; counts clients that hung up.

    It serves one request a connection. It ends the connection after the answer; with `lingers`, only when a second
    request arrives on it. With `serves_many`, it serves one request after the other. Without `reads_body`, it reads no
    more than the headers.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    lingers: bool = False
    serves_many: bool = False
    reads_body: bool = True
    seen: list[Seen] = field(default_factory=list)
    hung_up: int = 0
    connections: int = 0
    closed: int = 0
    port: int = 0
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def calls(self, path: str) -> list[Seen]:
        return [request for request in self.seen if request.path == path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            await self._serve(reader, writer, number)
            while self.serves_many:
                await self._serve(reader, writer, number)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.closed += 1
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head[1:] if line}
        body = await reader.readexactly(int(headers.get("content-length", "0")) if self.reads_body else 0)
        seen = Seen(method, path, headers, body, number)
        self.seen.append(seen)
        answer = self.answers.get(path.partition("?")[0])
        async for chunk in answer(seen) if answer else whole(b"{}", status=404):
            if reader.at_eof() or writer.is_closing():
                self.hung_up += 1
                return
            writer.write(chunk)
            await writer.drain()
        if self.serves_many:
            return
        if self.lingers:
            await reader.read(1)
            return
        writer.write_eof()
        await reader.read()


async def whole(body: bytes, *, status: int = 200) -> AsyncIterator[bytes]:
    """A JSON answer."""
    yield b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(piece: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112, 7.1)."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


async def streamed(body: bytes, *, step: int = 7) -> AsyncIterator[bytes]:
    """A stream cut into pieces of `step` bytes, so that nothing falls on an event's edge."""
    yield STREAM_HEAD
    for start in range(0, len(body), step):
        yield chunked(body[start : start + step])
    yield chunked(b"")


@contextmanager
def open_model_server(tls: ssl.SSLContext | None = None) -> Iterator[ModelServer]:
    """A running model server that knows the model `tiny`; with TLS, it serves one request after the other."""
    server = ModelServer(tls=tls, serves_many=tls is not None)
    server.answers["/v1/models"] = lambda _: whole(b'{"object":"list","data":[{"id":"tiny"}]}')
    server.answers["/metrics"] = lambda _: whole(METRICS.encode())
    server.answers["/v1/chat/completions"] = lambda _: streamed(CHAT_STREAM)
    server.answers["/v1/messages"] = lambda _: streamed(MESSAGES_STREAM)
    server.answers["/v1/responses"] = lambda _: streamed(RESPONSES_STREAM)
    ready, stop = threading.Event(), threading.Event()
    connected: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(server.serve(reader, writer))
        connected[task] = writer
        task.add_done_callback(connected.pop)

    async def main() -> None:
        listener = await asyncio.start_server(connect, "127.0.0.1", 0, ssl=tls)
        server.port = listener.sockets[0].getsockname()[1]
        ready.set()
        await asyncio.to_thread(stop.wait)
        await stop_accepting(listener)
        listener.close()
        await _turns()  # a connection that was just accepted gets its task
        for writer in connected.values():
            writer.transport.abort()  # a task that is cancelled before it has begun does not
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await _turns()  # one that was aborted closes its socket

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        stop.set()
        thread.join(10)


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    with open_model_server() as server:
        yield server


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass
class Gateway:
    """A gateway process and its clients."""

    runtime: Path
    state: Path
    process: subprocess.Popen[bytes] | Program | None = None
    clients: list[httpx.Client] = field(default_factory=list)

    def write_map(self, upstream: str, **fields: Any) -> None:
        """Write the map as the hub does: a new file, moved into place."""
        instances = {digest(TOKEN): "NATIVE-w01", digest(OTHER_TOKEN): "CLAUDE-w02"}
        value = {"upstream": upstream, "model": None, "instances": instances, "person": digest(PERSON_TOKEN)}
        draft = self.runtime / "map.draft"
        draft.write_text(json.dumps({**value, **fields}), encoding="utf-8")
        draft.chmod(0o600)
        draft.replace(self.runtime / "gateway-map.json")

    def start(self, *, descriptors: str | None = None, numbers: Mapping[str, float] | None = None) -> None:
        """Start it, with the soft and hard limit of descriptors in the form of `prlimit`, or with other constants."""
        argv = ["aegis_tui.gateway", "--runtime", str(self.runtime), "--state", str(self.state)]
        with (self.state / "gateway.log").open("ab") as log, Path(os.devnull).open("rb") as nothing:
            if descriptors:
                few = ["prlimit", f"--nofile={descriptors}", sys.executable, "-m"]
                self.process = subprocess.Popen(
                    [*few, *argv], stdin=nothing, stdout=log, stderr=log, start_new_session=True, cwd=self.state
                )
            else:
                files = (nothing.fileno(), log.fileno(), log.fileno())
                self.process = Program(
                    argv, folder=self.state, environ=os.environ, files=files, own_session=True, numbers=numbers
                )
        until(lambda: self.published.get("pid") == (self.process and self.process.pid), "the gateway is ready")

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)

    @property
    def published(self) -> dict[str, Any]:
        try:
            value: dict[str, Any] = json.loads((self.runtime / "gateway.json").read_bytes())
        except OSError:
            return {}
        return value

    def client(self, token: str = TOKEN, *, tcp: bool = False) -> httpx.Client:
        """A client on the unix socket, or on the loopback port."""
        transport = None if tcp else httpx.HTTPTransport(uds=str(self.runtime / "gateway.sock"))
        base_url = self.published["url"] if tcp else "http://gateway"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        made = httpx.Client(base_url=base_url, transport=transport, headers=headers, timeout=10, trust_env=False)
        self.clients.append(made)
        return made

    def log_lines(self) -> list[dict[str, Any]]:
        path = self.state / "logs" / "model-calls.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def wait_for_lines(self, count: int) -> list[dict[str, Any]]:
        until(lambda: len(self.log_lines()) >= count, f"{count} calls are logged")
        return self.log_lines()


def until(condition: Callable[[], object], what: str, *, timeout_s: float = 10.0) -> None:
    """Return when the condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)


@pytest.fixture
def gateway_folders(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Folders for a gateway that a test starts itself; whatever it started ends with it."""
    runtime = Path(os.path.realpath(tmp_path_factory.mktemp("r", numbered=True)))
    runtime.chmod(0o700)
    gateway = Gateway(runtime, tmp_path)
    yield gateway
    for client in gateway.clients:
        client.close()
    if gateway.process is not None and gateway.process.poll() is None:
        gateway.process.kill()
        gateway.process.wait(10)


@pytest.fixture
def gateway(gateway_folders: Gateway, model_server: ModelServer) -> Gateway:
    """A running gateway in front of the model server."""
    gateway_folders.write_map(model_server.url)
    gateway_folders.start()
    return gateway_folders
