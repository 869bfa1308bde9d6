"""What else could keep locks: Redis, NATS KV and files, spoken to as thinly as the hub, without client libraries."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TAKE = (
    "local t = redis.call('INCR', 'token') "
    "if redis.call('SET', KEYS[1], t, 'NX', 'PX', 300000) then return t else return 0 end"
)
_FREE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end"


class RedisLocker:
    """SET NX PX with a counter for the token, and a compared DEL; each one script call."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> RedisLocker:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def _call(self, *words: str) -> int:
        raw = [word.encode() for word in words]
        body = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in raw)
        self._writer.write(b"*%d\r\n%s" % (len(raw), body))
        line = await self._reader.readline()
        if not line.startswith(b":"):
            raise RuntimeError(line.decode())
        return int(line[1:])

    async def acquire(self, name: str) -> object:
        """Take it with a new token."""
        if not (token := await self._call("EVAL", _TAKE, "1", name)):
            raise RuntimeError(f"{name} is held")
        return token

    async def release(self, name: str, grant: object) -> None:
        """Give it back if it is still ours."""
        if not await self._call("EVAL", _FREE, "1", name, str(grant)):
            raise RuntimeError(f"{name} was lost")

    def close(self) -> None:
        """Drop the connection."""
        self._writer.close()


class NatsLocker:
    """A key-value bucket: put if absent, and delete at the revision; the revision is the token."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self._reader, self._writer, self._inbox = reader, writer, f"_INBOX.b{number}"

    @classmethod
    async def open(cls, port: int, number: int) -> NatsLocker:
        """Connect and listen to an inbox."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readline()
        locker = cls(reader, writer, number)
        options = b'{"verbose":false,"pedantic":false,"headers":true,"no_responders":true}'
        writer.write(b"CONNECT " + options + f"\r\nSUB {locker._inbox} 1\r\n".encode())
        return locker

    async def request(self, subject: str, body: bytes, headers: str = "") -> dict[str, Any]:
        """One request, and its JSON answer."""
        if headers:
            head = f"NATS/1.0\r\n{headers}\r\n\r\n".encode()
            sizes = f"{len(head)} {len(head) + len(body)}"
            self._writer.write(f"HPUB {subject} {self._inbox} {sizes}\r\n".encode() + head + body + b"\r\n")
        else:
            self._writer.write(f"PUB {subject} {self._inbox} {len(body)}\r\n".encode() + body + b"\r\n")
        while True:
            words = (await self._reader.readline()).split()
            if words[0] == b"PING":
                self._writer.write(b"PONG\r\n")
            elif words[0] == b"MSG":
                answer = await self._reader.readexactly(int(words[-1]) + 2)
                reply: dict[str, Any] = json.loads(answer)
                if "error" in reply:
                    raise RuntimeError(str(reply["error"]))
                return reply
            elif words[0] not in (b"+OK", b"INFO"):
                raise RuntimeError(b" ".join(words).decode())

    async def acquire(self, name: str) -> object:
        """Put it if it is absent."""
        answer = await self.request(_key(name), b"x", "Nats-Expected-Last-Subject-Sequence: 0")
        return answer["seq"]

    async def release(self, name: str, grant: object) -> None:
        """Delete it if it is still ours."""
        await self.request(_key(name), b"", f"KV-Operation: DEL\r\nNats-Expected-Last-Subject-Sequence: {grant}")

    def close(self) -> None:
        """Drop the connection."""
        self._writer.close()


def _key(name: str) -> str:
    return f"$KV.locks.{name.replace('.', '_').replace('/', '.')}"


class FileLocker:
    """A reservation is a file of its own in one folder; who wants one reads them all, then writes and syncs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def acquire(self, name: str) -> object:
        """Read every reservation, then create ours."""
        return await asyncio.to_thread(self._take, name)

    def _take(self, name: str) -> Path:
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError, ValueError):
                if json.loads(path.read_text())["path"] == name:
                    raise RuntimeError(f"{name} is held")
        path = self._folder / name.replace("/", "_")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(descriptor, json.dumps({"path": name, "ttl_s": 300}).encode())
        os.fsync(descriptor)
        os.close(descriptor)
        self._sync()
        return path

    def _sync(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    async def release(self, name: str, grant: object) -> None:
        """Remove it."""
        await asyncio.to_thread(self._free, name)

    def _free(self, name: str) -> None:
        (self._folder / name.replace("/", "_")).unlink()
        self._sync()

    def close(self) -> None:
        """Nothing is open."""


@contextlib.contextmanager
def _server(argv: list[str], folder: Path, port: int) -> Iterator[None]:
    process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=-1)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def redis_server() -> Iterator[int]:
    """Redis that syncs its log before it answers; its port."""
    with _free_place() as (folder, port):
        argv = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]
        with _server([*argv, "--appendfsync", "always", "--dir", str(folder)], folder, port):
            yield port


@contextlib.contextmanager
def nats_server() -> Iterator[int]:
    """NATS JetStream with a bucket `locks`; its port. Every write is synced where the server knows how (2.10 on)."""
    with _free_place() as (folder, port):
        sync = ", sync_interval: always" if nats_syncs() else ""
        config = folder / "nats.conf"
        config.write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/js"{sync} }}\n')
        with _server(["nats-server", "-c", str(config)], folder, port):
            asyncio.run(_make_bucket(port))
            yield port


def nats_syncs() -> bool:
    """Whether the server that is installed can sync each write."""
    said = subprocess.run(["nats-server", "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    major, minor = said.rpartition("v")[2].split(".")[:2]
    return (int(major), int(minor)) >= (2, 10)


async def _make_bucket(port: int) -> None:
    locker = await NatsLocker.open(port, 0)
    stream = {"name": "KV_locks", "subjects": ["$KV.locks.>"], "max_msgs_per_subject": 1, "storage": "file"}
    stream |= {"allow_rollup_hdrs": True, "deny_delete": True, "num_replicas": 1, "discard": "new"}
    await locker.request("$JS.API.STREAM.CREATE.KV_locks", json.dumps(stream).encode())
    locker.close()


@contextlib.contextmanager
def _free_place() -> Iterator[tuple[Path, int]]:
    folder = Path(tempfile.mkdtemp(prefix="rival-"))
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        yield folder, port
    finally:
        shutil.rmtree(folder, ignore_errors=True)
