"""A hub that serves a frozen log, in this process, so that its commands can be called like any function."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.sdk.discovery import WorkspacePaths
from tests.frozen.logs import DATA, restore


@contextlib.contextmanager
def served(paths: WorkspacePaths, log: str) -> Iterator[None]:
    """Serve the log of that name in the workspace until the end of the block."""
    paths.create()
    restore(DATA / "logs" / f"{log}.sql", paths.log_db)
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        async with open_hub(paths, port=0):
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        assert ready.wait(30), "the hub did not start"
        yield
    finally:
        done.set()
        thread.join(30)
