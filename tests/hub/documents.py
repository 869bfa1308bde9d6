"""The documents that a hub serves, as validators; and whole runs played against a hub."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator  # type: ignore[import-untyped]
from jsonschema.validators import extend  # type: ignore[import-untyped]
from websockets.asyncio.client import ClientConnection, unix_connect

from aegis_tui.domain.decision import Actor
from aegis_tui.errors import AegisError
from aegis_tui.hub.engine import Engine
from aegis_tui.sdk.quick import HubAddress, HubQuick
from tests.domain.test_transcript import KINDS, Run


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    kind: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(address: HubAddress, method: str, target: str, body: str | None = None, **headers: str) -> Answer:
    """One request over TCP as the person; an empty header is left out."""
    host, port = address.url.removeprefix("http://").split(":")
    given = {"Authorization": f"Bearer {address.token}", "Content-Type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request(method, target, body, {name: value for name, value in given.items() if value})
        response = connection.getresponse()
        return Answer(response.status, response.headers.get_content_type(), response.read())
    finally:
        connection.close()


class Documents:
    """OpenAPI and AsyncAPI of one hub."""

    def __init__(self, address: HubAddress) -> None:
        self.openapi: dict[str, Any] = ask(address, "GET", "/openapi.json", Authorization="").json
        self.asyncapi: dict[str, Any] = ask(address, "GET", "/asyncapi.json", Authorization="").json

    def rest_faults(self, value: object, schema: dict[str, Any]) -> list[str]:
        """What keeps a value from fitting a schema of the OpenAPI document."""
        return _faults(Draft202012Validator, self.openapi, schema, value)

    def stream_faults(self, value: object, model: str) -> list[str]:
        """What keeps a frame from fitting a model of the AsyncAPI document."""
        return _faults(Draft7Validator, self.asyncapi, {"$ref": f"#/components/schemas/{model}"}, value)

    def answer_faults(self, answer: Answer, method: str, path: str) -> list[str]:
        """What keeps an answer from being one that the document tells of."""
        told = self.openapi["paths"][path][method.lower()]["responses"].get(str(answer.status))
        if told is None:
            return [f"{method} {path}: status {answer.status} is not documented"]
        if answer.kind not in told["content"]:
            return [f"{method} {path}: {answer.kind} is not documented"]
        value = answer.json if answer.kind == "application/json" else answer.body.decode()
        schema = told["content"][answer.kind]["schema"]
        return self.rest_faults(value, schema) if schema else [f"{method} {path}: {answer.status} says nothing"]


def _faults(kind: Any, document: dict[str, Any], schema: dict[str, Any], value: object) -> list[str]:
    root = {"allOf": [schema], "components": document["components"]}
    checker = extend(kind, {"oneOf": _one_of(kind, document["components"]["schemas"])})
    return [f"{error.json_path}: {error.message[:300]}" for error in checker(root).iter_errors(value)]


def _one_of(kind: Any, schemas: dict[str, Any]) -> Callable[..., Iterator[Any]]:
    """`oneOf` that looks only at the schema of the value's own type, where each has one that no other has.

    The others cannot match, since each demands its own type. Each event would be compared with all 60 of them.
    """

    def type_of(branch: dict[str, Any]) -> str | None:
        model = schemas[branch["$ref"].rpartition("/")[2]] if branch.keys() == {"$ref"} else {}
        named: str | None = model.get("properties", {}).get("type", {}).get("const")
        return named if "type" in model.get("required", ()) else None

    def check(validator: Any, branches: list[Any], value: Any, schema: Any) -> Iterator[Any]:
        types = [type_of(branch) for branch in branches]
        own = value.get("type") if isinstance(value, dict) else None
        if own is not None and None not in types and types.count(own) == 1:
            yield from validator.descend(value, branches[types.index(own)])
        else:
            yield from kind.VALIDATORS["oneOf"](validator, branches, value, schema)

    return check


class HubRun(Run):
    """The turns of a run, played against a hub; `look` is what is done at each turn."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop, look: Callable[[], None]) -> None:
        super().__init__({})
        self._engine, self._loop, self._look = engine, loop, look
        self.workspace = engine.peek(lambda workspace: workspace)

    def do(self, actor: Actor, kind: str, **fields: Any) -> Any:
        """A command; an empty answer when it is refused."""
        submitting = self._engine.submit(KINDS[kind].model_validate(fields), actor)
        try:
            return asyncio.run_coroutine_threadsafe(submitting, self._loop).result(10)
        except AegisError:
            return {}

    def look(self) -> None:
        self._look()


@dataclass
class Stream:
    """One WebSocket after its hello, and every frame that came on it."""

    socket: ClientConnection
    token: str
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send one command and wait for its reply."""
        request_id = f"{kind} {len(self.seen)}"
        await self.socket.send(json.dumps({"type": kind, "request_id": request_id, **fields}))
        return await self._next(lambda frame: frame.get("request_id") == request_id)

    async def until(self, kind: str, times: int = 1) -> None:
        """Return when so many events of that type have come."""
        while [frame.get("type") for frame in self.seen].count(kind) < times:
            await self._next(lambda frame: frame.get("type") == kind)

    async def _next(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            frame: dict[str, Any] = json.loads(await asyncio.wait_for(self.socket.recv(), 10))
            self.seen.append(frame)
            if wanted(frame):
                return frame


@asynccontextmanager
async def open_stream(address: HubAddress, instance_id: str) -> AsyncIterator[Stream]:
    """A stream with all events, as an agent that joins by hand, or as the person where no id is given."""

    def join() -> str:
        fields = {"agent_type": "CLAUDE", "instance_id": instance_id}
        return Path(HubQuick(address).command("agent:register", **fields)["token_file"]).read_text()

    token = await asyncio.to_thread(join) if instance_id else address.token
    async with unix_connect(address.socket, "ws://localhost/v1/stream", compression=None) as socket:
        await socket.send(json.dumps({"type": "hello", "token": token}))
        yield Stream(socket, token, [json.loads(await socket.recv())])
