"""The machine-readable contract, generated from the models: OpenAPI for REST, AsyncAPI for the WebSocket (HUB-3)."""

from __future__ import annotations

import copy
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, get_args

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from aegis_tui import __version__
from aegis_tui.domain.command import ClientCommand
from aegis_tui.domain.event import AnyEventData
from aegis_tui.domain.model import SCHEMA_VERSION
from aegis_tui.domain.wire.reply import REPLIES

_PREFIX = "#/components/schemas/"
_TO_HUB = {"hello": "Hello", "subscribe": "Subscribe", "fileSubscribe": "FileSubscribe", "command": "Command"}
_FROM_HUB = {
    "reply": "Reply",
    "event": "Event",
    "lockFailed": "LockFailed",
    "contextSync": "ContextSync",
    "resync": "Resync",
}
_NOT_PUBLISHED = {
    "InstancePrepared": ("token_hash",),
    "LockAcquire": ("pinned", "whole"),
    "LockNews": ("copies",),
    "RunStart": ("run", "facts", "spec"),
    "SpecRescan": ("answer",),
    "BroadcastSend": ("rewrite",),
}
"""Fields of messages that clients neither get nor send: those that the hub keeps secret, and those that it fills in."""

_STATUS_WORDS = {
    400: "Wrong usage",
    401: "No valid token",
    403: "Refused; also where the request came from a web page or names an unknown host",
    409: "Conflict, or a lock is held",
    413: "The request is over 1 MiB",
    415: "The content type is not application/json",
    500: "The hub failed",
    503: "The hub, or something that the request needs, is not available",
}


@dataclass(frozen=True)
class RestRoute:
    """One REST route; `documents` holds the fields of its OpenAPI operation."""

    method: Literal["GET", "POST"]
    path: str
    endpoint: Callable[[Request], Awaitable[Response]]
    documents: dict[str, Any] = field(default_factory=dict)


def reference(model: str) -> dict[str, str]:
    """Return a JSON reference, `{"$ref": ...}`, to the schema of the documents that has this name; not checked."""
    return {"$ref": f"{_PREFIX}{model}"}


def answers(model: type[Any] | None, *refusals: int) -> dict[str, Any]:
    """Return the `responses` of a route's OpenAPI operation.

    Args:
        model: The answer with status 200; None when it is plain text.
        refusals: The other statuses, each answered with a refusal: any of the keys of `_STATUS_WORDS`.

    Raises:
        KeyError: A status is not among them.
    """
    done = {"description": "Successful Response", "content": {"text/plain": {"schema": {"type": "string"}}}}
    refused = {str(status): _json_of("Refusal", _STATUS_WORDS[status]) for status in sorted(refusals)}
    return {"responses": {"200": done if model is None else _json_of(model.__name__, "Done"), **refused}}


def _json_of(model: str, description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": reference(model)}}}


@cache
def _schemas() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of every command, event, frame and answer, by name.

    Every call returns the same object, which must not be changed.

    Raises:
        LookupError: A model has no name in `schema_names`.
    """
    from aegis_tui.hub.schema_dicts import SAME_AS, SENT_BY_THE_HUB, models_of, plain_schema
    from aegis_tui.hub.schema_models import SENT_BY_CLIENTS  # these modules are imported here: no start waits for them
    from aegis_tui.hub.schema_names import in_order, name_of, renamed

    commands, events = in_order(get_args(ClientCommand)), in_order(get_args(AnyEventData))
    sent: list[type[BaseModel]] = [*commands, *SENT_BY_CLIENTS]
    from_hub: list[type[BaseModel]] = [*events, *models_of(SENT_BY_THE_HUB)]
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((model, "validation") for model in sent),
        *((model, "serialization") for model in from_hub),
    ]
    _, described = models_json_schema(models, by_alias=True, ref_template=f"{_PREFIX}{{model}}")
    schemas: dict[str, Any] = renamed(described["$defs"], [*commands, *events], prefix=_PREFIX)
    for name, fields in _NOT_PUBLISHED.items():
        _leave_out(schemas[name], fields)
    for model in commands:
        _put_into_envelope(schemas[name_of(model)])
    for command in commands:
        if replied := REPLIES.get(command.model_fields["type"].default):
            schemas[name_of(command)]["x-reply"] = reference(name_of(replied))
    for model in events:
        name = name_of(model)
        _leave_out(schemas[name], ("type",))
        schemas[f"{name}Event"] = _event(model, name)
    for kind, state in SAME_AS.items():
        _make_alike(schemas[name_of(state)], plain_schema(kind))
    schemas["EventsPage"]["properties"]["events"]["items"] = reference("Event")
    schemas["Command"] = _one_of("The fields of one command type, in addition to v and request_id.", commands, "")
    schemas["Event"] = _one_of("One logged event; its type says which data it has.", events, "Event")
    replies = [reference("Accepted"), reference("Refusal")]
    schemas["Reply"] = {"description": "The answer to one command, hello or subscription.", "oneOf": replies}
    return schemas


def _leave_out(schema: dict[str, Any], fields: Iterable[str]) -> None:
    for name in fields:
        schema["properties"].pop(name)
    required = [name for name in schema.get("required", ()) if name in schema["properties"]]
    schema.pop("required", None)
    if required:
        schema["required"] = required


def _make_alike(schema: dict[str, Any], json_type: dict[str, Any]) -> None:
    """Give the schema of a model the fields of the JSON in which its values are sent; `schema` is changed in place.

    Fields that the JSON does not have are left out; those that only the JSON has are added, as required ones. Fields of
    fields are not compared.

    Args:
        schema: The JSON Schema of the model.
        json_type: The JSON Schema of the type of that JSON (a result of `plain_schema`).

    Raises:
        KeyError: A field is to be added, and `schema` has no `required` list.
    """
    _leave_out(schema, [name for name in schema["properties"] if name not in json_type["properties"]])
    for name, field_schema in json_type["properties"].items():
        if name not in schema["properties"]:
            schema["properties"][name] = field_schema
            schema["required"] = [*schema["required"], name]


def _put_into_envelope(command: dict[str, Any]) -> None:
    """Add `v` and `request_id` to the JSON Schema of a command's own fields, and make `type` required; in place."""
    request_id = {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 200}, {"type": "null"}]}
    described = {"description": "Identifies a retry; the reply holds the same id.", "default": None}
    version = {"type": "integer", "const": SCHEMA_VERSION, "default": SCHEMA_VERSION}
    command["properties"] = {"v": version, "request_id": {**request_id, **described}, **command["properties"]}
    command["properties"]["type"].pop("default")
    command["required"] = ["type", *command.get("required", ())]


def _event(model: type[BaseModel], name: str) -> dict[str, Any]:
    """Return the JSON Schema of an event of one type; its `data` is a reference to the schema of that type's data.

    The other fields are `v`, `seq`, `type`, `agent_id` and `timestamp`; all are required.

    Args:
        model: The model of the data.
        name: The name of its schema.
    """
    return {
        "title": f"{name}Event",
        "description": model.__doc__,
        "type": "object",
        "required": ["v", "seq", "type", "agent_id", "timestamp", "data"],
        "additionalProperties": False,
        "properties": {
            "v": {"type": "integer", "const": SCHEMA_VERSION},
            "seq": {"type": "integer", "minimum": 1},
            "type": {"type": "string", "const": model.model_fields["type"].default},
            "agent_id": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": reference(name),
        },
    }


def _one_of(description: str, models: Sequence[type[BaseModel]], suffix: str) -> dict[str, Any]:
    from aegis_tui.hub.schema_names import name_of

    names = {model.model_fields["type"].default: f"{name_of(model)}{suffix}" for model in models}
    mapping = {kind: f"{_PREFIX}{name}" for kind, name in names.items()}
    return {
        "description": description,
        "oneOf": [reference(name) for name in names.values()],
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }


def _reachable(*roots: str) -> dict[str, Any]:
    """Return copies of the schemas `roots` and of all that they refer to, by name.

    Raises:
        KeyError: There is no schema of such a name.
        LookupError: A model has no name in `schema_names`.
    """
    schemas, reached, waiting = _schemas(), dict[str, Any](), list(roots)
    while waiting:
        if (name := waiting.pop()) not in reached:
            reached[name] = copy.deepcopy(schemas[name])
            waiting += _named_in(reached[name])
    return reached


def _named_in(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix(_PREFIX)
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _named_in(item)


def openapi(routes: Sequence[RestRoute]) -> dict[str, Any]:
    """Return a new OpenAPI 3.1 document of the hub's REST routes, with all schemas that they refer to.

    Raises:
        KeyError: A route refers to a schema that does not exist.
        LookupError: A model has no name in `schema_names`.
    """
    paths = {route.path: {route.method.lower(): _operation(route)} for route in routes}
    return {
        "openapi": "3.1.0",
        "info": {"title": "aegis-tui hub", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": _reachable("Reply", *_named_in(paths)),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}],
    }


def _operation(route: RestRoute) -> dict[str, Any]:
    """Return the OpenAPI operation of a route: its `documents`, with `operationId` and `summary` from its names."""
    name = route.endpoint.__name__
    operation_id = re.sub(r"\W", "_", f"{name}{route.path}_{route.method.lower()}")
    return {"summary": name.replace("_", " ").title(), "operationId": operation_id, **route.documents}


@cache
def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3 document of `/v1/stream`: at each call the same object, which must not be changed.

    Raises:
        LookupError: A model has no name in `schema_names`.
    """
    models = _TO_HUB | _FROM_HUB
    messages = {name: {"name": model, "payload": reference(model)} for name, model in models.items()}
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
        "components": {"messages": messages, "schemas": _as_draft_07(_reachable(*models.values()))},
    }


def _as_draft_07(node: Any) -> Any:
    """Return a copy of a schema, or of a part of one, in the form of JSON Schema draft 7, as AsyncAPI 3 needs it.

    `prefixItems` becomes `items`, and discriminators with a `propertyName` are left out.
    """
    if isinstance(node, list):
        return [_as_draft_07(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {name: _as_draft_07(value) for name, value in node.items() if not _is_mapping(name, value)}
    if isinstance(plain.get("prefixItems"), list):
        plain["items"] = plain.pop("prefixItems")
    return plain


def _is_mapping(name: str, value: Any) -> bool:
    return name == "discriminator" and isinstance(value, dict) and "propertyName" in value


def _references(names: Iterable[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/stream/messages/{name}"} for name in names]
