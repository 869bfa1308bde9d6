"""`POST /mcp`: the MCP tools over HTTP, for agents that are configured with a url and a token (HUB-7, contract 9)."""

from __future__ import annotations

import asyncio
import importlib
import logging
from contextvars import ContextVar
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from aegis_tui.domain.decision import Actor
from aegis_tui.domain.page import size_of
from aegis_tui.errors import HubUnavailable, Refused, Unavailable
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.guard import MAX_BODY_BYTES, refuse
from aegis_tui.hub.identity import Identity, bearer
from aegis_tui.hub.ingress import Ingress
from aegis_tui.hub.mcp_batch import Batches
from aegis_tui.hub.request import check_numbers
from aegis_tui.sdk.wire import HTTP_STATUS

_log = logging.getLogger(__name__)
logging.getLogger("mcp.server.streamable_http").setLevel(logging.WARNING)  # it logs the end of each request at INFO
_ACTOR: ContextVar[Actor] = ContextVar("aegis_mcp_actor")
_HOSTS = ["127.0.0.1", "127.0.0.1:*", "localhost", "localhost:*", "[::1]", "[::1]:*"]


class McpDoor:
    """An ASGI application that answers each MCP request separately, as the instance whose token the request has.

    The MCP library and the tools are imported in a thread when the first request arrives. Call `close` at the end.
    """

    def __init__(self, engine: Engine, identity: Identity, ingress: Ingress) -> None:
        self._engine = engine
        self._identity = identity
        self._ingress = ingress
        self._opening: asyncio.Future[ASGIApp] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: 401 without a valid token, 403 for a person's token, else as the MCP library does.

        503 when the instance has too many requests at once, and when the MCP library cannot be loaded.
        """
        actor = self._identity.resolve(bearer(Headers(scope=scope).get("authorization")))
        if actor is None:
            unknown = Refused("no valid token", "send Authorization: Bearer TOKEN", code="unauthorized")
            await refuse(scope, send, 401, unknown)
        elif actor.kind != "instance":
            hint = "join first: aegis-tui connect --agent KIND --instance ID"
            await refuse(scope, send, 403, Refused("MCP needs the token of an instance", hint, code="instance.only"))
        else:
            await self._serve(actor, scope, receive, send)

    async def _serve(self, actor: Actor, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._ingress.door.under_way(actor):
                app = await self._opened()
                _ACTOR.set(actor)
                await app(scope, receive, send)
        except Unavailable as error:
            await refuse(scope, send, HTTP_STATUS[error.exit_code], error)

    async def close(self) -> None:
        """End the MCP sessions; call it when no request is served any more. No effect if there was no request."""
        self._closed.set()
        if self._keeper is not None:
            await self._keeper

    async def _opened(self) -> ASGIApp:
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_future()
            self._keeper = asyncio.create_task(self._keep(self._opening), name="hub-mcp")
        return await asyncio.shield(self._opening)

    async def _keep(self, opening: asyncio.Future[ASGIApp]) -> None:
        """Load the MCP library, put its application into `opening`, and run its sessions until `close` is called.

        If it cannot be loaded, `opening` gets `HubUnavailable` and this returns. One task does all this, as the library
        requires.
        """
        try:
            library = await asyncio.to_thread(importlib.import_module, "aegis_tui.sdk.mcp_server")
            tools = await asyncio.to_thread(importlib.import_module, "aegis_tui.sdk.tools")
            server = library.AgentServer(tools.Tools(self._ask, _who), self._role)
            app = Batches(library.http_app(server, hosts=_HOSTS, max_body_bytes=MAX_BODY_BYTES))
        except Exception as error:
            _log.exception("MCP cannot be served")
            opening.set_exception(HubUnavailable(f"MCP cannot be served: {error}", "install aegis-tui again"))
            return
        async with server.session_manager.run():
            opening.set_result(app)
            await self._closed.wait()

    async def _ask(self, command_type: str, /, **fields: Any) -> dict[str, Any]:
        chosen = {name: value for name, value in fields.items() if value is not None}
        check_numbers(chosen)
        frame = {"type": command_type, **chosen}
        reply, error = await self._ingress.answer(frame, _ACTOR.get(), size=size_of(frame))
        if error is not None:
            raise error
        return {name: value for name, value in reply.items() if name not in ("v", "ok", "request_id")}

    def _role(self) -> str:
        instance = self._engine.peek(lambda workspace: workspace.get_instance(_who()))
        return instance.role if instance else "worker"


def _who() -> str:
    return _ACTOR.get().agent_id
