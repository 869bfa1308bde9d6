import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from aegis_tui.testing.scripted_llm import ScriptedServer

WriteScripts = Callable[..., Path]
Event = tuple[str | None, Any]


@pytest.fixture
def write_scripts(tmp_path: Path) -> WriteScripts:
    """Writes NAME.json for each keyword and returns their folder."""

    def write(**scripts: Any) -> Path:
        directory = tmp_path / "scenario"
        directory.mkdir(exist_ok=True)
        for name, script in scripts.items():
            (directory / f"{name}.json").write_text(json.dumps(script))
        return directory

    return write


@asynccontextmanager
async def serving(directory: Path, **options: Any) -> AsyncIterator[tuple[ScriptedServer, httpx.AsyncClient]]:
    """A running server of a scenario, and a client of it."""
    async with ScriptedServer(directory, **options) as server:
        root = server.base_url.removesuffix("/v1")
        async with httpx.AsyncClient(base_url=root, timeout=10, trust_env=False) as client:
            yield server, client


def parse_events(text: str) -> list[Event]:
    """The events of a stream: its name, None if it has none, and its JSON data."""
    events: list[Event] = []
    for block in text.split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        events.append((lines.get("event"), json.loads(lines["data"])))
    return events
