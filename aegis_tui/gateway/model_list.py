"""The list of models: that of one model server as it is, or those of several together (LLM-2)."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from aegis_tui.errors import AegisError
from aegis_tui.gateway.access import AccessMap
from aegis_tui.gateway.engine import upstream_key, upstream_url
from aegis_tui.gateway.rejected import Rejected
from aegis_tui.gateway.request import UPSTREAM_HEADER, Request
from aegis_tui.gateway.share import Share
from aegis_tui.gateway.upstream import Headers, Upstream
from aegis_tui.gateway.usage import parse_json

_TIMEOUT_S = 10.0


class _Listed(NamedTuple):
    """What a model server answered."""

    base_url: str
    status: int
    body: bytes

    def models(self) -> list[dict[str, Any]]:
        """Return the entries with a name (`id`) of its list.

        Empty if it answered with another status than 200, or no list.
        """
        fields = parse_json(self.body) if self.status == 200 else None
        entries = fields.get("data") if isinstance(fields, dict) else None
        listed = entries if isinstance(entries, list) else []
        return [entry for entry in listed if isinstance(entry, dict) and isinstance(entry.get("id"), str)]


class ModelList:
    """Serves `GET /v1/models`.

    Args:
        access: Names the model servers and their key.
        upstream: Connections to them.
    """

    def __init__(self, access: AccessMap, upstream: Upstream) -> None:
        self._access = access
        self._upstream = upstream

    async def send(self, request: Request, _share: Share) -> None:
        """Send the list of the only server as it is; of several servers, each model that any of them lists, once.

        If none of several lists a model, the first answer is sent as it is.

        Raises:
            Rejected: No model server is configured (503), the key is not usable (503), or none answers in time (502).
        """
        upstream_url(self._access)
        key = upstream_key(self._access)
        answers = await asyncio.gather(*(self._ask(url, key) for url in self._access.current.upstreams))
        listed = [answer for answer in answers if isinstance(answer, _Listed)]
        by_name: dict[str, dict[str, Any]] = {}
        for model in (model for answer in listed for model in answer.models()):
            by_name.setdefault(model["id"], model)
        if len(answers) > 1 and by_name:
            request.reply_json(200, {"object": "list", "data": list(by_name.values())})
            return
        if not listed:
            raise next(answer for answer in answers if isinstance(answer, Rejected))
        first = listed[0]
        request.reply(first.status, first.body, headers=[(UPSTREAM_HEADER, first.base_url.encode("utf-8"))])

    async def _ask(self, base_url: str, key: Headers) -> _Listed | Rejected:
        url = f"{base_url}/models"
        try:
            async with (
                asyncio.timeout(_TIMEOUT_S),
                self._upstream.open("GET", base_url, url, headers=key, timeout_s=_TIMEOUT_S) as answer,
            ):
                return _Listed(base_url, answer.status, await answer.whole())
        except TimeoutError:
            late = f"{base_url} did not list its models within {_TIMEOUT_S:g} s"
            return Rejected(502, "model.unavailable", late, "Check it with: aegis-tui doctor")
        except AegisError as error:
            return Rejected(502, error.code, error.message, error.hint)
