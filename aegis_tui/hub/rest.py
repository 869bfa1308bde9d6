"""The hub's HTTP routes (contract 7)."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from aegis_tui.domain.context import mirror_view
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.model import SCHEMA_VERSION, compact_json
from aegis_tui.domain.page import SECTIONS, section_page
from aegis_tui.domain.wire.answer import Accepted, Answered, EventsPage, Health, Mirror, State, StateSection
from aegis_tui.errors import AegisError, Refused, UsageError
from aegis_tui.hub import schema
from aegis_tui.hub.batch import Reply, internal
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.fanout import Fanout
from aegis_tui.hub.guard import MAX_BODY_BYTES, RequestGuard, too_large
from aegis_tui.hub.identity import Identity, bearer
from aegis_tui.hub.ingress import Ingress
from aegis_tui.hub.interest import is_visible, public_wire
from aegis_tui.hub.request import parse_request
from aegis_tui.hub.schema import RestRoute
from aegis_tui.hub.stream import StreamSession
from aegis_tui.sdk.wire import HTTP_STATUS, error_to_wire

MAX_EVENTS = 5_000
MAX_SEQ = 2**62
_WRITTEN_AT_ONCE = 500
"""A page with more events than this is encoded in a thread, so that other requests are answered meanwhile."""


class JSONResponse(Response):
    """A JSON response that can always be encoded, even with file names that are not valid UTF-8 (contract 3)."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the content as compact JSON in UTF-8; a text that UTF-8 cannot encode is in git's quoted form.

        Raises:
            PydanticSerializationError: It holds an object that pydantic cannot write as JSON.
        """
        return compact_json(content).encode()


class _HttpRefusal(Exception):
    """A refusal whose HTTP status does not follow from its exit code."""

    def __init__(self, status: int, error: AegisError) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error


def build_app(*, engine: Engine, identity: Identity, ingress: Ingress, fanout: Fanout, mcp: ASGIApp) -> Starlette:
    """Return the hub's ASGI application, protected by `RequestGuard`; `mcp` answers `POST /mcp`.

    It has the routes of `rest_routes`, `/openapi.json`, `/asyncapi.json`, and the WebSocket at `/v1/stream` and `/`.
    Errors of handlers become JSON answers; an unexpected one has status 500.
    """
    routes = rest_routes(engine=engine, identity=identity, ingress=ingress, fanout=fanout)

    async def openapi(_: Request) -> JSONResponse:
        return JSONResponse(await asyncio.to_thread(schema.openapi, routes))

    async def asyncapi(_: Request) -> JSONResponse:
        return JSONResponse(await asyncio.to_thread(schema.asyncapi))

    async def stream(websocket: WebSocket) -> None:
        await StreamSession(websocket, identity=identity, ingress=ingress, fanout=fanout).serve()

    return Starlette(
        routes=[
            *(Route(route.path, route.endpoint, methods=[route.method]) for route in routes),
            Route("/openapi.json", openapi),
            Route("/asyncapi.json", asyncapi),
            WebSocketRoute("/v1/stream", stream),
            WebSocketRoute("/", stream),
            Route("/mcp", mcp, methods=["POST"]),
        ],
        middleware=[Middleware(RequestGuard)],
        exception_handlers={
            AegisError: _refused,
            _HttpRefusal: _refused_by_status,
            HTTPException: _unknown_route,
            Exception: _broken,
        },
    )


def rest_routes(*, engine: Engine, identity: Identity, ingress: Ingress, fanout: Fanout) -> list[RestRoute]:
    """Return the routes that `/openapi.json` describes, with their handlers. All but `/healthz` need a token.

    `/healthz` tells the process id and the number of the newest event. The others are `POST /v1/commands`, `/metrics`,
    and `state`, `state/section`, `mirror` and `events` below `/v1`.
    """
    answers = _RouteAnswers(engine, identity, ingress, fanout)
    known = (401, 403, 413, 500, 503)
    command = {"content": {"application/json": {"schema": schema.reference("Command")}}, "required": True}
    pages = {"parameters": [_query("after", 0, MAX_SEQ), _query("limit", 1_000, MAX_EVENTS)]}
    sections = {"parameters": [_text_query("name", SECTIONS[0]), _text_query("after", "")]}
    posted = {"requestBody": command, **schema.answers(Accepted, 400, 409, 415, *known)}
    return [
        RestRoute("GET", "/healthz", answers.healthz, {"security": [], **schema.answers(Health, 403, 413)}),
        RestRoute("POST", "/v1/commands", answers.commands, posted),
        RestRoute("GET", "/v1/state", answers.state, schema.answers(State, *known)),
        RestRoute(
            "GET",
            "/v1/state/section",
            answers.section,
            {**sections, **schema.answers(StateSection, 400, *known)},
        ),
        RestRoute("GET", "/v1/mirror", answers.mirror, schema.answers(Mirror, *known)),
        RestRoute("GET", "/v1/events", answers.events, {**pages, **schema.answers(EventsPage, 400, *known)}),
        RestRoute("GET", "/metrics", answers.metrics, schema.answers(None, *known)),
    ]


@dataclass(frozen=True)
class _RouteAnswers:
    """The handlers of the routes; the exception handlers below turn what they raise into answers."""

    engine: Engine
    identity: Identity
    ingress: Ingress
    fanout: Fanout

    def _actor(self, request: Request) -> Actor:
        actor = self.identity.resolve(bearer(request.headers.get("authorization")))
        if actor is None:
            error = Refused("no valid token", "send Authorization: Bearer TOKEN", code="unauthorized")
            raise _HttpRefusal(401, error)
        return actor

    async def healthz(self, _request: Request) -> JSONResponse:
        return _json(Health(schema_version=SCHEMA_VERSION, ok=True, pid=os.getpid(), seq=self.fanout.published_seq))

    async def commands(self, request: Request) -> JSONResponse:
        actor = self._actor(request)
        with self.ingress.door.under_way(actor):
            raw = await _body(request)
            frame = parse_request(raw)
            if frame.get("type") == "lock:acquire" and frame.get("wait_s"):
                reply, error = await self._waited(request, frame, actor, len(raw))
            else:
                reply, error = await self.ingress.answer(frame, actor, size=len(raw))
        return JSONResponse(reply, HTTP_STATUS[error.exit_code] if error else 200)

    async def _waited(
        self, request: Request, frame: dict[str, Any], actor: Actor, size: int
    ) -> tuple[Reply, AegisError | None]:
        """Answer a lock request that may wait; if the client disconnects meanwhile, withdraw the request.

        A command without an id gets one, by which it can be withdrawn.

        Args:
            request: The HTTP request, whose body was read.
            frame: The command in it; not changed.
            actor: The sender.
            size: The size of the body in bytes.

        Returns:
            The reply for the client (`v`, `request_id`, `ok`, and the answer's fields or `error`), and the error if it
            was refused or withdrawn, else None.
        """
        frame = {**frame, "request_id": frame.get("request_id") or uuid.uuid4().hex}
        answering = asyncio.ensure_future(self.ingress.answer(frame, actor, size=size))
        hung_up = asyncio.ensure_future(request.receive())
        await asyncio.wait({answering, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        hung_up.cancel()
        if not answering.done():
            await self.ingress.answer({"type": "lock:release", "request": frame["request_id"]}, actor)
        return await answering

    async def state(self, request: Request) -> JSONResponse:
        self._actor(request)
        answer: State = {"schema_version": SCHEMA_VERSION, "ok": True, **await self.engine.context()}
        return await asyncio.to_thread(_json, answer)

    async def section(self, request: Request) -> JSONResponse:
        self._actor(request)
        name, after = request.query_params.get("name", SECTIONS[0]), request.query_params.get("after", "")
        page = section_page(await self.engine.view(), name, after)
        answer: StateSection = {"schema_version": SCHEMA_VERSION, "ok": True, **page}
        return _json(answer)

    async def mirror(self, request: Request) -> JSONResponse:
        if self._actor(request).kind == "instance":
            raise Refused("only the person may read the whole state", "read /v1/state", code="person.only")
        answer = Mirror(schema_version=SCHEMA_VERSION, ok=True, state=await self.engine.read(mirror_view))
        return await asyncio.to_thread(_json, answer)

    async def events(self, request: Request) -> JSONResponse:
        actor = self._actor(request)
        after = _number(request, "after", 0, most=MAX_SEQ)
        limit = _number(request, "limit", 1_000, most=MAX_EVENTS)
        events = await self.engine.events(after, limit)
        next_after, seq = events[-1].seq if events else after, self.fanout.published_seq

        def answer() -> JSONResponse:
            shown = [public_wire(event) for event in events if is_visible(event, actor)]
            page = EventsPage(schema_version=SCHEMA_VERSION, ok=True, events=shown, next_after=next_after, seq=seq)
            return _json(page)

        return answer() if len(events) <= _WRITTEN_AT_ONCE else await asyncio.to_thread(answer)

    async def metrics(self, request: Request) -> PlainTextResponse:
        self._actor(request)
        return PlainTextResponse(_metrics(self.engine, self.fanout), media_type="text/plain; version=0.0.4")


async def _body(request: Request) -> bytearray:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _HttpRefusal(415, UsageError("the content type must be application/json", code="content_type"))
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise _HttpRefusal(413, too_large())
    return raw


def _query(name: str, default: int, most: int) -> dict[str, Any]:
    numbers = {"type": "integer", "minimum": 0, "maximum": most, "default": default}
    return {"name": name, "in": "query", "schema": numbers}


def _text_query(name: str, default: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "string", "default": default}}


def _number(request: Request, name: str, default: int, *, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise UsageError(f"{name} must be a whole number from 0 to {most}", f"for example ?{name}={default}")
    return int(text)


def _json(answer: Answered) -> JSONResponse:
    return JSONResponse(answer)


def _failed(error: AegisError, status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    fields = {"schema_version": SCHEMA_VERSION, "request_id": None, "ok": False, "error": error_to_wire(error)}
    return JSONResponse(fields, status, headers)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    known = error if isinstance(error, AegisError) else AegisError("the hub failed", code="internal")
    return _failed(known, HTTP_STATUS[known.exit_code])


async def _broken(_request: Request, error: Exception) -> JSONResponse:
    """Return the answer to an unexpected error: status 500 with an error object of code `internal`.

    Clients would take Starlette's plain text for a missing hub.
    """
    return _failed(internal(error), 500)


async def _refused_by_status(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, _HttpRefusal):
        return _failed(error.error, error.status)
    return _failed(AegisError("the hub failed", code="internal"), 500)


async def _unknown_route(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    allowed = ((error.headers if isinstance(error, HTTPException) else None) or {}).get("Allow")
    if allowed is None:
        return _failed(UsageError("there is no such route", "see /openapi.json", code="route"), status)
    wrong = UsageError(f"{request.url.path} does not accept {request.method}", f"it accepts {allowed}", code="route")
    return _failed(wrong, status, {"Allow": allowed})


def _metrics(engine: Engine, fanout: Fanout) -> str:
    values = {
        "aegis_hub_seq": ("counter", engine.last_seq),
        "aegis_hub_commands_total": ("counter", engine.commands),
        "aegis_hub_batches_total": ("counter", engine.batches),
        "aegis_hub_subscribers": ("gauge", len(fanout)),
        "aegis_hub_dropped_events_total": ("counter", fanout.dropped),
    }
    return "".join(f"# TYPE {name} {kind}\n{name} {value}\n" for name, (kind, value) in values.items())
