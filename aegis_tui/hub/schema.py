"""The machine-readable contract, generated from the models: OpenAPI for REST, AsyncAPI for the WebSocket (HUB-3)."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import Field, TypeAdapter

from aegis_tui import __version__
from aegis_tui.domain.command import ClientCommand
from aegis_tui.domain.event import AnyEventData
from aegis_tui.domain.model import SCHEMA_VERSION

_REFERENCE = "#/components/schemas/{model}"
COMMAND_REFERENCE = "#/components/schemas/Command"


@cache
def _schemas() -> dict[str, Any]:
    """Every command and every event's data, by name, in JSON Schema."""
    command: TypeAdapter[Any] = TypeAdapter(Annotated[ClientCommand, Field(discriminator="type")])
    data: TypeAdapter[Any] = TypeAdapter(Annotated[AnyEventData, Field(discriminator="type")])
    found: dict[str, Any] = {}
    for name, adapter in (("CommandFields", command), ("EventData", data)):
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


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the hub's REST routes."""
    document = get_openapi(title="aegis-tui hub", version=__version__, routes=app.routes)
    components = document.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **_schemas()}
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"bearer": []}]
    return document


@cache
def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3 document of `/v1/stream`."""
    messages = {
        "command": {"payload": {"$ref": COMMAND_REFERENCE}},
        "event": {"payload": {"$ref": "#/components/schemas/Event"}},
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
            "sendCommand": {
                "action": "receive",
                "channel": channel,
                "messages": [{"$ref": "#/channels/stream/messages/command"}],
            },
            "receiveEvents": {
                "action": "send",
                "channel": channel,
                "messages": [{"$ref": "#/channels/stream/messages/event"}],
            },
        },
        "components": {"messages": messages, "schemas": _schemas()},
    }
