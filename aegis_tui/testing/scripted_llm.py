"""The scripted model server (LLM-9): vLLM's HTTP interface, with replies from a scenario instead of a model.

It speaks OpenAI's chat completions and responses, Anthropic's messages and Google's generateContent. HTTP, streams,
tool calls, pace, prefix cache and meters are real; only the text and calls of replies come from files. Each response is
marked as scripted: ``x-aegis-scripted`` in the headers, and ``system_fingerprint``, ``owned_by`` or an id in the body.
Run it alone with ``python -m aegis_tui.testing.scripted_llm DIR --announce FILE``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hmac
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aegis_tui.errors import AegisError, UsageError
from aegis_tui.sdk.private_file import write_private
from aegis_tui.testing.portable_tools import resolve_call
from aegis_tui.testing.scenario import NextReply, folder_name, load_scenario
from aegis_tui.testing.scripted_dialects import CHAT, Dialect, find_route
from aegis_tui.testing.scripted_generation import Generation
from aegis_tui.testing.scripted_http import HttpReply, HttpRequest, HttpServer, json_reply
from aegis_tui.testing.scripted_meters import Meters, PrefixCache, render_prompt, split_tokens, token_id
from aegis_tui.testing.scripted_request import ChatError, ScriptedRequest, parse_object

GATE_PATH = "/scripted/gates/"
GATE_TIMEOUT_STATUS = 424
"""Failed Dependency: clients do not try again, unlike after 504, so a gate that stays closed fails the run."""


@dataclass
class _Gate:
    opened: asyncio.Event
    held: int = 0


class ScriptedServer:
    """Serves one scenario on a loopback port.

    Args:
        directory: The scenario: a folder of ``NAME.json`` files.
        model: The name of the only model.
        gate_timeout_s: How long a reply waits at a gate, in seconds, before it fails with status 424.
        pace: Tokens per second of every reply, 0 for no limit; None: as the scripts say.
        port: The port to listen on; 0 for any free one.
        default_script: The script of conversations that name none.
        max_model_len: The context length: conversations must be shorter, in tokens.
        max_num_seqs: How many replies are generated at once; others wait.

    Raises:
        UsageError: The scenario is not valid.
    """

    def __init__(
        self,
        directory: Path,
        *,
        model: str = "scripted",
        gate_timeout_s: float = 60.0,
        pace: float | None = None,
        port: int = 0,
        default_script: str | None = None,
        max_model_len: int = 131_072,
        max_num_seqs: int = 32,
    ) -> None:
        self.model = model
        self.gate_timeout_s = gate_timeout_s
        self.pace = pace
        self.max_model_len = max_model_len
        self.admin_token = secrets.token_urlsafe(32)
        self.requests = 0
        self.base_url = ""
        self.meters = Meters(model)
        self._default_script = default_script
        self._scenario = load_scenario(directory)
        self._gates = {name: _Gate(asyncio.Event()) for name in sorted(self._scenario.gates)}
        self._slots = asyncio.Semaphore(max_num_seqs)
        self._cache = PrefixCache(self.meters.capacity_blocks)
        self._http = HttpServer(self._handle, port=port)
        self._started_at = int(time.time())

    @property
    def gates_url(self) -> str:
        """The URL for opening gates: send a POST to it plus the gate's name, with the admin token as Bearer token."""
        return self.base_url.removesuffix("/v1") + GATE_PATH

    async def start(self) -> str:
        """Start listening; return the base URL, which ends in ``/v1``.

        Raises:
            OSError: The port is busy.
        """
        host, port = await self._http.start()
        self.base_url = f"http://{host}:{port}/v1"
        return self.base_url

    async def stop(self) -> None:
        """Cancel running requests, close all connections and free the port; may be called twice."""
        await self._http.stop()

    async def __aenter__(self) -> ScriptedServer:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    def open_gate(self, name: str) -> None:
        """Open a gate for good: replies that wait there now are sent, later ones do not wait.

        Raises:
            UsageError: No script has this gate.
        """
        if name not in self._gates:
            known = ", ".join(self._gates) or "none"
            raise UsageError(f"there is no gate {name}", f"the gates are: {known}", code="gate.unknown")
        self._gates[name].opened.set()

    def held(self, name: str) -> int:
        """Return how many replies wait at a gate now; raises `KeyError` if no script has this gate."""
        return self._gates[name].held

    async def _handle(self, request: HttpRequest) -> HttpReply:
        route = find_route(request)
        dialect = route.dialect if route else CHAT
        try:
            if route is None:
                reply = self._other(request)
            elif route.render_count is not None:
                reply = json_reply(route.render_count(self._count(route.dialect.parse(request))))
            else:
                reply = await self._complete(route.dialect, request)
        except ChatError as error:
            reply = json_reply(dialect.error(error), error.status)
        except AegisError as error:
            message = f"{error.message}; {error.hint}" if error.hint else error.message
            reply = json_reply(dialect.error(ChatError(message, param="messages")), 400)
        return replace(reply, headers={**reply.headers, "x-aegis-scripted": "1"})

    def _other(self, request: HttpRequest) -> HttpReply:
        if request.path.startswith(GATE_PATH):
            return self._gate_request(request)
        match request.method, request.path:
            case "POST", "/tokenize":
                return self._tokenize(request)
            case "GET", "/v1/models":
                return json_reply({"object": "list", "data": [self._model_card()]})
            case "GET", "/health" | "/ping":
                return HttpReply()
            case "GET", "/version":
                return json_reply({"version": "0.0.0+scripted"})
            case "GET", "/metrics":
                return HttpReply(200, self.meters.render().encode(), "text/plain; version=0.0.4; charset=utf-8")
        return json_reply({"detail": "Not Found"}, 404)

    def _gate_request(self, request: HttpRequest) -> HttpReply:
        expected = f"Bearer {self.admin_token}".encode()
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
            raise ChatError("the admin token is missing or wrong", status=401, kind="Unauthorized")
        if request.method != "POST":
            raise ChatError("gates are opened by POST", status=405, kind="MethodNotAllowed")
        name = request.path.removeprefix(GATE_PATH)
        self.open_gate(name)
        return json_reply({"gate": name, "open": True})

    def _model_card(self) -> dict[str, Any]:
        return {
            "id": self.model,
            "object": "model",
            "created": self._started_at,
            "owned_by": "aegis-scripted",
            "root": self.model,
            "parent": None,
            "max_model_len": self.max_model_len,
            "permission": [],
        }

    def _tokenize(self, request: HttpRequest) -> HttpReply:
        body = parse_object(request.body)
        self._check_model(body.get("model"))
        if isinstance(body.get("prompt"), str):
            text = body["prompt"]
        else:
            text = render_prompt(CHAT.parse(request).messages, body.get("tools"))
        tokens = split_tokens(text)
        ids = [token_id(token) for token in tokens]
        strings = tokens if body.get("return_token_strs") else None
        return json_reply(
            {"count": len(ids), "max_model_len": self.max_model_len, "tokens": ids, "token_strs": strings}
        )

    def _check_model(self, name: object) -> None:
        if name is not None and name != self.model:
            raise ChatError(
                f"The model `{name}` does not exist. Models: {self.model}.",
                status=404,
                kind="NotFoundError",
                param="model",
            )

    def _count(self, chat: ScriptedRequest) -> int:
        self._check_model(chat.model)
        return len(split_tokens(render_prompt(chat.messages, chat.tools)))

    async def _complete(self, dialect: Dialect, request: HttpRequest) -> HttpReply:
        arrived_at = time.monotonic()
        self.requests += 1
        number = self.requests
        chat = dialect.parse(request)
        self._check_model(chat.model)
        prompt = split_tokens(render_prompt(chat.messages, chat.tools) + "<|im_start|>assistant\n")
        if len(prompt) >= self.max_model_len:
            raise ChatError(
                f"the context holds {self.max_model_len} tokens, the conversation has {len(prompt)}",
                param="input_tokens",
            )
        reply = self._scenario.reply(chat.messages, with_tools=bool(chat.offered), default_script=self._default_script)
        folder = folder_name(chat.messages)
        calls = [
            resolve_call(call.tool, call.args, offered=chat.offered, folder=folder) for call in reply.step.tool_calls
        ]
        held_s = await self._wait_at_gate(reply)
        generation = Generation(
            chat,
            reply.step.content,
            calls,
            number=number,
            model=self.model,
            prompt=prompt,
            pace=(reply.pace if self.pace is None else self.pace) or None,
            meters=self.meters,
            cache=self._cache,
            slots=self._slots,
            arrived_at=arrived_at + held_s,
        )
        if chat.stream:
            return HttpReply(
                200, dialect.stream(generation), "text/event-stream; charset=utf-8", {"cache-control": "no-cache"}
            )
        return json_reply(await dialect.whole(generation))

    async def _wait_at_gate(self, reply: NextReply) -> float:
        """Wait until the gate of a reply is open; return how many seconds that took.

        Raises:
            ChatError: It was not opened within `gate_timeout_s` seconds.
        """
        if reply.gate is None:
            return 0.0
        gate, since = self._gates[reply.gate], time.monotonic()
        gate.held += 1
        self.meters.waiting["deferred"] += 1
        try:
            async with asyncio.timeout(self.gate_timeout_s):
                await gate.opened.wait()
        except TimeoutError:
            self.meters.finished["error"] += 1
            message = f"gate {reply.gate} was not opened within {self.gate_timeout_s:g} s"
            raise ChatError(message, status=GATE_TIMEOUT_STATUS, kind="GateTimeout", param="gate") from None
        finally:
            gate.held -= 1
            self.meters.waiting["deferred"] -= 1
        return time.monotonic() - since


_LOOK_S = 1.0
"""Seconds between two checks whether the parent process still runs."""


async def serve(server: ScriptedServer, *, announce: Path | None = None, parent: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT, or until the parent process has ended; then stop the server.

    Args:
        server: The server, not started yet.
        announce: A file (mode 0600) for the announcement: URLs, admin token, model and process id as JSON. It is
            removed at the end. If None, the announcement is printed as one line.
        parent: The id of the parent process; None: serve on after the parent has ended.

    Raises:
        OSError: The port is busy, or the announcement cannot be written.
    """
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await server.start()
    card = {
        "url": server.base_url,
        "gates_url": server.gates_url,
        "admin_token": server.admin_token,
        "pid": os.getpid(),
        "model": server.model,
        "scripted": True,
    }
    try:
        if announce is None:
            sys.stdout.write(json.dumps(card) + "\n")
            sys.stdout.flush()
        else:
            await asyncio.to_thread(write_private, announce, json.dumps(card))
        while not stopped.is_set() and (parent is None or os.getppid() == parent):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), None if parent is None else _LOOK_S)
    finally:
        if announce is not None:
            await asyncio.to_thread(announce.unlink, missing_ok=True)
        await server.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line until a signal or the parent's end; return its exit code.

    0 after such an end, 2 if the scenario is not valid, 5 if the port is busy; the reason is on stderr.
    """
    parser = argparse.ArgumentParser(prog="scripted_llm", description="A scripted model server with vLLM's interface.")
    parser.add_argument("directory", type=Path, help="the scenario, a folder of NAME.json files")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on; 0 (default): any free one")
    parser.add_argument("--pace", type=float, help="tokens per second of every reply; 0: no limit")
    parser.add_argument("--model", default="scripted")
    parser.add_argument("--gate-timeout", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--announce", type=Path, metavar="FILE", help="write url, admin token and pid here, 0600")
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this process, the parent, has ended")
    options = parser.parse_args(arguments)
    try:
        server = ScriptedServer(
            options.directory,
            model=options.model,
            gate_timeout_s=options.gate_timeout,
            pace=options.pace,
            port=options.port,
        )
        asyncio.run(serve(server, announce=options.announce, parent=options.parent))
    except AegisError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main())
