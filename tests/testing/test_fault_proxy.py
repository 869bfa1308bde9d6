import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aegis_tui.testing.fault_proxy import FaultProxy


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, for the sockets."""
    found = Path(tempfile.mkdtemp(prefix="af", dir="/tmp"))
    yield found
    shutil.rmtree(found)


@asynccontextmanager
async def echo(path: Path) -> AsyncIterator[None]:
    """A server that sends back what it gets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(1000):
            writer.write(piece)
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()


def test_bytes_pass_whole_late_and_one_by_one(folder: Path) -> None:
    async def main() -> None:
        async with echo(folder / "server"), FaultProxy(folder / "proxy", folder / "server") as proxy:
            reader, writer = await asyncio.open_unix_connection(folder / "proxy")
            writer.write(b"x" * 5000)
            assert await reader.readexactly(5000) == b"x" * 5000
            for name, value in (("delay_s", 0.05), ("bytes_per_s", 50.0)):
                setattr(proxy, name, value)
                start = time.monotonic()
                writer.write(b"abcd")
                assert await reader.readexactly(4) == b"abcd"
                assert time.monotonic() - start >= 0.08
                setattr(proxy, name, 0.0)
            assert proxy.connections == 1
            writer.close()

    asyncio.run(main())


def test_silence_keeps_the_connection_and_a_cut_ends_it(folder: Path) -> None:
    async def main() -> None:
        async with echo(folder / "server"), FaultProxy(folder / "proxy", folder / "server") as proxy:
            reader, writer = await asyncio.open_unix_connection(folder / "proxy")
            proxy.silence()
            writer.write(b"abcd")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await reader.readexactly(4)
            proxy.silence(False)
            assert await reader.readexactly(4) == b"abcd"
            proxy.cut()
            async with asyncio.timeout(5):
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await reader.readexactly(1)
            writer.close()

    asyncio.run(main())
