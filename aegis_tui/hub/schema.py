"""The machine-readable contract, generated from the models: OpenAPI for REST, AsyncAPI for the WebSocket (HUB-3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from aegis_tui import __version__
from aegis_tui.domain.command import ClientCommand
from aegis_tui.domain.event import AnyEventData
from aegis_tui.domain.model import SCHEMA_VERSION

_REFERENCE = "#/components/schemas/{model}"
COMMAND_REFERENCE = "#/components/schemas/Command"
REPLY_REFERENCE = "#/components/schemas/Reply"


@dataclass(frozen=True)
class RestRoute:
    """One REST route; `documents` are FastAPI's keywords for what cannot be read off the endpoint."""

    method: Literal["GET", "POST"]
    path: str
    endpoint: Callable[[Request], Awaitable[Response]]
    documents: dict[str, Any] = field(default_factory=dict)


class Hello(BaseModel):
    """The first frame of a stream, unless its request had an Authorization header; within 3 s."""

    type: Literal["hello"]
    token: str
    after: int | None = Field(None, ge=0, description="Begin after this event of the log; live when absent.")
    types: list[str] | None = Field(None, description='Names, "lock:*", "specs.>"; all when absent, none when empty.')
    paths: list[str] = Field([], description="Globs; events about a matching path come whatever their type.")


class Subscribe(BaseModel):
    """Other types for this stream, from now on or from after an event."""

    type: Literal["subscribe"]
    request_id: str | None = None
    types: list[str] = ["*"]
    after: int | None = Field(None, ge=0)


class FileSubscribe(BaseModel):
    """One more glob for this stream."""

    type: Literal["file:subscribe"]
    request_id: str | None = None
    path: str


class ErrorFields(BaseModel):
    """Why a request was refused; more fields name the facts, held_by for example."""

    code: str
    message: str
    hint: str
    exit_code: int = Field(description="1 failed, 2 usage, 3 refused, 4 conflict, 5 unavailable.")


class Reply(BaseModel):
    """The answer to one command, hello or subscription; on success its own fields stand beside `ok`."""

    v: int = SCHEMA_VERSION
    request_id: str | None
    ok: bool
    error: ErrorFields | None = None


class Resync(BaseModel):
    """You were too slow: that many queued events were dropped and come again from the log."""

    v: int = SCHEMA_VERSION
    type: Literal["resync"]
    from_seq: int
    dropped: int


_FRAMES = (Hello, Subscribe, FileSubscribe, Reply, Resync)
_TO_HUB = {"hello": "Hello", "subscribe": "Subscribe", "fileSubscribe": "FileSubscribe", "command": "Command"}
_FROM_HUB = {"reply": "Reply", "event": "Event", "resync": "Resync"}


@cache
def _schemas() -> dict[str, Any]:
    """Every command and every event's data, by name, in JSON Schema."""
    command: TypeAdapter[Any] = TypeAdapter(Annotated[ClientCommand, Field(discriminator="type")])
    data: TypeAdapter[Any] = TypeAdapter(Annotated[AnyEventData, Field(discriminator="type")])
    found: dict[str, Any] = {}
    frames = [(frame.__name__, TypeAdapter[Any](frame)) for frame in _FRAMES]
    for name, adapter in (("CommandFields", command), ("EventData", data), *frames):
        schema = adapter.json_schema(ref_template=_REFERENCE, by_alias=True)
        found |= schema.pop("$defs", {})
        found[name] = schema
    _hide_secrets(found)
    version = {"type": "integer", "const": SCHEMA_VERSION}
    found["Command"] = {
        "description": "The fields of one command type beside v and request_id.",
        "allOf": [{"type": "object", "properties": {"v": version, "request_id": {"type": "string", "maxLength": 200}}}],
        "oneOf": found.pop("CommandFields")["oneOf"],
    }
    found["Event"] = {
        "type": "object",
        "required": ["v", "seq", "type", "agent_id", "timestamp", "data"],
        "properties": {
            "v": version,
            "seq": {"type": "integer", "minimum": 1},
            "type": {"type": "string"},
            "agent_id": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": {"$ref": "#/components/schemas/EventData"},
        },
    }
    return found


def _hide_secrets(schemas: dict[str, Any]) -> None:
    for schema in schemas.values():
        schema.get("properties", {}).pop("token_hash", None)
        if "token_hash" in schema.get("required", ()):
            schema["required"].remove("token_hash")


def openapi(routes: Sequence[RestRoute]) -> dict[str, Any]:
    """The OpenAPI document of the hub's REST routes."""
    from fastapi import FastAPI  # as slow to import as the rest of the hub

    described = FastAPI(title="aegis-tui hub", version=__version__, openapi_url=None)
    for route in routes:
        described.add_api_route(route.path, route.endpoint, methods=[route.method], **route.documents)
    document = described.openapi()
    components = document.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **_schemas()}
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"bearer": []}]
    return document


@cache
def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3 document of `/v1/stream`."""
    messages = {
        name: {"payload": {"$ref": _REFERENCE.format(model=model)}} for name, model in (_TO_HUB | _FROM_HUB).items()
    }
    channel = {"$ref": "#/channels/stream"}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "aegis-tui hub", "version": __version__},
        "channels": {
            "stream": {
                "address": "/v1/stream",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": {
            "sendToHub": {"action": "receive", "channel": channel, "messages": _references(_TO_HUB)},
            "receiveFromHub": {"action": "send", "channel": channel, "messages": _references(_FROM_HUB)},
        },
        "components": {"messages": messages, "schemas": _schemas()},
    }


def _references(names: Iterable[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/stream/messages/{name}"} for name in names]
