"""Runs the scripted model server in a thread of the test's process and records the requests it receives."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Any, NamedTuple

from aegis_tui.testing.scenario import message_text, script_name
from aegis_tui.testing.scripted_dialects import find_route
from aegis_tui.testing.scripted_http import HttpReply, HttpRequest
from aegis_tui.testing.scripted_llm import ScriptedServer
from aegis_tui.testing.scripted_request import ChatError

_DEADLINE_S = 10.0

Message = dict[str, Any]


class Received(NamedTuple):
    """A request to the model, valid or not."""

    dialect: str
    """`chat`, `messages`, `responses` or `google`."""
    path: str
    body: bytes


class _Recorder(ScriptedServer):
    """A scripted server that keeps all requests, and the messages of the newest one for each script."""

    def __init__(self, directory: Path, **options: Any) -> None:
        super().__init__(directory, **options)
        self.received: list[Received] = []
        self.conversations: dict[str, list[Message]] = {}

    async def _handle(self, request: HttpRequest) -> HttpReply:
        if route := find_route(request):
            self.received.append(Received(route.dialect.name, request.path, request.body))
            with contextlib.suppress(ChatError):  # the reply says what is wrong with it
                messages = route.dialect.parse(request).messages
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

    @property
    def received(self) -> list[Received]:
        """All requests to the model so far, oldest first, those that only count tokens included."""
        return list(self._server.received)

    def open_gate(self, name: str) -> None:
        """Ask the server to open a gate for good: replies that wait there are sent, later ones do not wait.

        Returns before it is open. A name that no script has raises nothing here; the loop logs the error.
        """
        self._loop.call_soon_threadsafe(self._server.open_gate, name)

    def held(self, name: str) -> int:
        """Return how many replies wait at a gate now; raises `KeyError` if no script has this gate."""
        return self._server.held(name)

    def conversation(self, script: str) -> list[Message]:
        """Return the newest conversation that named this script, in the form of chat completions; empty if none did."""
        return self._server.conversations.get(script, [])

    def results(self, script: str) -> list[str]:
        """Return the tool results in the conversation of this script, oldest first; empty if there is none."""
        return [message_text(item) for item in self.conversation(script) if item["role"] == "tool"]

    def close(self) -> None:
        """Stop serving, cutting off replies, and end the thread; call it once."""
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(_DEADLINE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_DEADLINE_S)
        self._loop.close()
