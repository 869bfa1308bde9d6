"""The scripted model server in a thread of the test's own process, with every conversation it was sent."""

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
    """A scripted server that keeps the newest and longest form of each script's conversation."""

    def __init__(self, directory: Path, **options: Any) -> None:
        super().__init__(directory, **options)
        self.conversations: dict[str, list[Message]] = {}

    async def _handle(self, request: HttpRequest) -> HttpReply:
        if request.path == "/v1/chat/completions":
            messages = json.loads(request.body)["messages"]
            self.conversations[script_name(messages) or ""] = messages
        return await super()._handle(request)


class RecordedLLM:
    """Serves a scenario until `close`, and tells what its clients sent.

    Args:
        directory: As for `ScriptedServer`.
        options: As for `ScriptedServer`.
    """

    def __init__(self, directory: Path, **options: Any) -> None:
        self._server = _Recorder(directory, **{"pace": 0, **options})
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="recorded-llm", daemon=True)
        self._thread.start()
        self.base_url = asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(_DEADLINE_S)

    @property
    def requests(self) -> int:
        """How many completions were asked for."""
        return self._server.requests

    def open_gate(self, name: str) -> None:
        """Let the replies go that wait at a gate."""
        self._loop.call_soon_threadsafe(self._server.open_gate, name)

    def held(self, name: str) -> int:
        """How many replies wait at a gate right now."""
        return self._server.held(name)

    def conversation(self, script: str) -> list[Message]:
        """The messages of the newest request that named this script."""
        return self._server.conversations.get(script, [])

    def results(self, script: str) -> list[str]:
        """What the tools answered in that conversation, oldest first."""
        return [message_text(item) for item in self.conversation(script) if item["role"] == "tool"]

    def close(self) -> None:
        """Stop serving and end the thread."""
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(_DEADLINE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_DEADLINE_S)
        self._loop.close()
