"""The gateway's routes, and who may use them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from aegis_tui import __version__
from aegis_tui.domain.wire.gateway import EndpointMeters, MetersAnswer, UsageAnswer
from aegis_tui.gateway.access import PERSON, AccessMap
from aegis_tui.gateway.dialect import RELAYED
from aegis_tui.gateway.engine import EngineFacts
from aegis_tui.gateway.forwarding import Forwarding
from aegis_tui.gateway.google import GoogleDoor
from aegis_tui.gateway.ledger import Ledger
from aegis_tui.gateway.model_list import ModelList
from aegis_tui.gateway.prefixes import Prefixes
from aegis_tui.gateway.rejected import Rejected
from aegis_tui.gateway.relay import Relay
from aegis_tui.gateway.request import Request
from aegis_tui.gateway.share import MOST_CALLS, Share, Shares
from aegis_tui.gateway.upstream import Upstream

_LOG = logging.getLogger(__name__)

Handler = Callable[[Request, Share], Awaitable[None]]


class GatewayApp:
    """Answers the requests of one workspace's gateway.

    Args:
        access: Who may call, and which server the calls go to.
        upstream: Connections to the model server.
        ledger: Counts the calls.
        most_calls: How many calls one caller may have running at once.
        salt: Keeps the prefix cache of this workspace apart from those of others.
    """

    def __init__(
        self,
        access: AccessMap,
        upstream: Upstream,
        ledger: Ledger,
        most_calls: int = MOST_CALLS,
        *,
        salt: str = "",
    ) -> None:
        self._access = access
        self._ledger = ledger
        self.engine = EngineFacts(access, upstream)
        """What is known about the model servers."""
        self._prefixes = Prefixes()
        self._shares = Shares(most_calls)
        forwarding = Forwarding(access, self.engine, self._prefixes, salt=salt)
        self._relay = Relay(access, upstream, self.engine, ledger, forwarding)
        self._google = GoogleDoor(access, upstream, self.engine, ledger, forwarding)
        self._routes: dict[tuple[str, str], Handler] = {
            **{("POST", path): self._relay.run for path in RELAYED},
            ("GET", "/v1/models"): ModelList(access, upstream).send,
            ("GET", "/v1/usage"): self._usage,
            ("GET", "/v1/meters"): self._meters,
            ("GET", "/v1/prefixes"): self._show_prefixes,
            ("GET", "/metrics"): self._metrics,
        }

    async def __call__(self, request: Request) -> None:
        """Answer a request. Once the caller's token is known to be valid, its connection has no time limit any more.

        A refusal or an unexpected error becomes an error answer. An unexpected error after the answer has begun is
        logged, and the answer is left incomplete.

        Raises:
            asyncio.CancelledError: The client has disconnected, or the gateway stops.
        """
        try:
            await self._serve(request)
        except Rejected as error:
            request.reject(error)
        except Exception:
            _LOG.exception("a request failed")
            if not request.is_answered:
                request.reject(Rejected(500, "failed", "the gateway failed on this request"))

    async def _serve(self, request: Request) -> None:
        request.check_origin()
        method = "GET" if request.method == "HEAD" else request.method
        if (method, request.path) == ("GET", "/healthz"):
            endpoints = await self.engine.endpoints()
            request.reply_json(200, {"ok": True, "version": __version__, "endpoints": endpoints})
            return
        caller = self._access.find_caller(request.token())
        if caller is None:
            hint = "send the content of AEGIS_TOKEN_FILE as bearer token, x-api-key or x-goog-api-key"
            raise Rejected(401, "token", "this token belongs neither to an agent nor to the person", hint)
        handler = self._routes.get((method, request.path)) or self._google.find(method, request.path)
        if handler is None:
            known = any(path == request.path for _, path in self._routes)
            status, code = (405, "method") if known else (404, "path")
            raise Rejected(status, code, f"{request.method} {request.path} is not served here")
        with self._shares.hold(caller) as share:
            request.settle()
            await handler(request, share)

    async def _usage(self, request: Request, share: Share) -> None:
        """Send agent id -> its usage: to the person and the hub that of all callers, to an instance its own.

        Raises:
            Rejected: The request came over TCP (404): usage is served on the unix socket only.
        """
        if request.port is not None:
            raise Rejected(404, "path", "usage is served on the unix socket only")
        agents = self._ledger.view(None if share.caller == PERSON else share.caller)
        request.reply_json(200, UsageAnswer(agents=agents))

    async def _meters(self, request: Request, _share: Share) -> None:
        together, each = await self.engine.meters()
        urls = self._access.current.upstreams
        endpoints = [EndpointMeters(url=url, metrics=metrics) for url, metrics in zip(urls, each, strict=False)]
        request.reply_json(200, MetersAnswer(metrics=together, endpoints=endpoints))

    async def _show_prefixes(self, request: Request, share: Share) -> None:
        """Send where the last prompts of callers begin to differ; the parameters `a` and `b` choose two of them.

        Without both, each is compared with the one that begins most like it.

        Raises:
            Rejected: The caller is not the person (403), or the request came over TCP (404).
        """
        if request.port is not None:
            raise Rejected(404, "path", "prefixes are served on the unix socket only")
        if share.caller != PERSON:
            raise Rejected(403, "role", "prompts of other agents are shown to the person only")
        chosen = dict(parse_qsl(request.query))
        request.reply_json(200, self._prefixes.view(chosen.get("a"), chosen.get("b")))

    async def _metrics(self, request: Request, _share: Share) -> None:
        request.reply(200, self._ledger.to_prometheus().encode(), b"text/plain; version=0.0.4")
