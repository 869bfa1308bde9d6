"""Has a call answered by the best model server, or by the next one if that fails; the same for every dialect (LLM-2).

What a server gets besides what the client sent (the salt of the workspace, a priority, tools in the usual order) is
decided here too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from aegis_tui.gateway.access import PERSON, AccessMap
from aegis_tui.gateway.dialect import Dialect
from aegis_tui.gateway.endpoint import ServingEndpoint
from aegis_tui.gateway.engine import EngineFacts, upstream_key
from aegis_tui.gateway.ledger import Call
from aegis_tui.gateway.prefixes import Prefixes
from aegis_tui.gateway.routing import Routing
from aegis_tui.gateway.sketch import Fields, Sketch
from aegis_tui.gateway.tool_order import ToolOrder
from aegis_tui.gateway.upstream import Headers

LEAST_URGENT = 10
"""The priority of an agent for whose work nobody waits. A lower one comes first; calls without one count as 0."""
_ELSEWHERE = frozenset({429, 500, 502, 503, 504})
"""Statuses after which another server gets the call, if there is one."""


class Attempt(NamedTuple):
    """One server that is asked to answer a call."""

    server: ServingEndpoint
    key: Headers
    """The header with the server's key; empty if it needs none."""
    added: dict[str, Any]
    """Fields of the request in addition to those that the client sent, in place of its own with these names."""
    is_last: bool
    """Whether no other server is left; then an error is the answer."""
    routing: Routing
    begun: Callable[[], None]

    def accepts(self, status: int) -> bool:
        """Return whether an answer with this status is the call's; if not, another server should get the call.

        False for 429, 500, 502, 503 and 504 while another server is left; each of them but 429 then makes the server
        rest for a while. True, whatever the status, ends the server's rest after failures. Call it once, when the
        server begins its answer.
        """
        if status in _ELSEWHERE and not self.is_last:
            if status != 429:
                self.routing.failed(self.server.url)
            return False
        self.begun()
        return True

    def gives_up(self, *, is_answered: bool) -> bool:
        """Return whether a failure of the server is the end of the call; if not, another server should get it.

        True if the client has a part of the answer, or no other server is left. Without such a part, the server rests
        for a while, and what it can do is asked again.

        Args:
            is_answered: Whether the client has received a part of the answer, to which no other server can add.
        """
        if is_answered:
            return True
        self.routing.failed(self.server.url)
        self.server.abilities = None  # what answers there next may be another server
        return self.is_last


Ask = Callable[[Attempt], Awaitable[bool]]
"""Asks one server and passes its answer on. False if another server should get the call: `Attempt` says when."""


class Forwarding:
    """Chooses servers for calls, and remembers the prompts of these.

    Args:
        access: Names the servers, their key, and for whose work others wait.
        engine: What is known about the servers.
        prefixes: Remembers the prompts.
        salt: Keeps the prefix cache of this workspace apart from those of others.
    """

    def __init__(self, access: AccessMap, engine: EngineFacts, prefixes: Prefixes, *, salt: str) -> None:
        self._access = access
        self._engine = engine
        self._prefixes = prefixes
        self._salt = salt
        self._routing = Routing()
        self._tool_order = ToolOrder()

    async def run(self, call: Call, dialect: Dialect, fields: Fields, ask: Ask, *, is_count: bool = False) -> None:
        """Have the servers asked, the best one first, until one answers; return when the call is complete.

        Only servers that list the model are asked, if any does; there is at least one server.

        Args:
            call: The call; its `endpoint` is the server that was asked last.
            dialect: The API of the request as a server gets it.
            fields: The request.
            ask: Asks one server.
            is_count: Whether only the tokens of a prompt are counted: a server then computes nothing of it, and it does
                not become the caller's last prompt.

        Raises:
            Rejected: The key is not usable (503); or what `ask` raises.
        """
        tools = self._tool_order.settle(fields)
        if tools is not None:
            fields = {**fields, "tools": tools}
        servers = self._servers(call.model)
        sketch = self._sketch(call, dialect, fields, is_count=is_count) if len(servers) > 1 else None
        left = list(servers)
        if sketch is not None:
            by_url = {server.url: server for server in servers}
            left = [by_url[url] for url in self._routing.order(list(by_url), sketch, call.agent_id)]
        while left:
            server = left.pop(0)
            call.endpoint = server.url
            with self._routing.running(server.url, sketch, call.agent_id, computes=not is_count) as begun:
                added = self._added(server, call, dialect, is_count=is_count)
                added |= {} if tools is None else {"tools": tools}
                key = upstream_key(self._access)
                attempt = Attempt(server, key, added, is_last=not left, routing=self._routing, begun=begun)
                if await ask(attempt):
                    break
        if sketch is None and not is_count:
            self._sketch(call, dialect, fields, is_count=False)

    def _servers(self, model: str) -> Sequence[ServingEndpoint]:
        known = self._engine.all()
        return [server for server in known if model in (server.model_names or (model,))] or known

    def _sketch(self, call: Call, dialect: Dialect, fields: Fields, *, is_count: bool) -> Sketch:
        look = self._prefixes.look_at if is_count else self._prefixes.note
        return look(call.agent_id, dialect, fields, model=call.model)

    def _added(self, server: ServingEndpoint, call: Call, dialect: Dialect, *, is_count: bool) -> dict[str, Any]:
        """Return the fields that a request gets besides what its client sent: `cache_salt` and `priority`.

        Each only if the server is known to take it. A request that only counts tokens gets no salt; one of the person,
        or in Anthropic's API, no priority. The priority is from 1 to 10, and lower if the work of more others waits for
        the caller.
        """
        able, added = server.abilities, dict[str, Any]()
        if able is not None and able.has_salt and not is_count:
            added["cache_salt"] = self._salt
        if able is not None and able.has_priority and dialect != "messages" and call.agent_id != PERSON:
            added["priority"] = max(1, LEAST_URGENT - self._access.current.urgencies.get(call.agent_id, 0))
        return added
