"""Runs the scripted model server in a thread of the test's process and records the conversations it receives."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

from aegis_tui.testing.scenario import message_text, script_name
from aegis_tui.testing.scripted_http import HttpReply, HttpRequest
from aegis_tui.testing.scripted_llm import ScriptedServer

_DEADLINE_S = 10.0

Message = dict[str, Any]


class _Recorder(ScriptedServer):
    """A scripted server that keeps the messages of the newest request for each script."""

    def __init__(self, directory: Path, **options: Any) -> None:
        super().__init__(directory, **options)
        self.conversations: dict[str, list[Message]] = {}

    async def _handle(self, request: HttpRequest) -> HttpReply:
        if request.path == "/v1/chat/completions":
            messages = json.loads(request.body)["messages"]
            self.conversations[script_name(messages) or ""] = messages
        return await super()._handle(request)


class RecordedLLM:
    """Serves a scenario until `close`, and gives access to what its clients sent.

    Args:
        directory: See `ScriptedServer`.
        options: See `ScriptedServer`; `pace` is 0 (no limit) by default.
    """

    def __init__(self, directory: Path, **options: Any) -> None:
        self._server = _Recorder(directory, **{"pace": 0, **options})
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="recorded-llm", daemon=True)
        self._thread.start()
        self.base_url = asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(_DEADLINE_S)

    @property
    def requests(self) -> int:
        """How many completions were requested."""
        return self._server.requests

    def open_gate(self, name: str) -> None:
        """Open a gate, so that replies that wait there are sent."""
        self._loop.call_soon_threadsafe(self._server.open_gate, name)

    def held(self, name: str) -> int:
        """Return how many replies wait at a gate now."""
        return self._server.held(name)

    def conversation(self, script: str) -> list[Message]:
        """Return the messages of the newest request that named this script; empty if there was none."""
        return self._server.conversations.get(script, [])

    def results(self, script: str) -> list[str]:
        """Return the tool results in the conversation of this script, oldest first."""
        return [message_text(item) for item in self.conversation(script) if item["role"] == "tool"]

    def close(self) -> None:
        """Stop serving and end the thread."""
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(_DEADLINE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_DEADLINE_S)
        self._loop.close()
