"""Which dialect each path of the scripted server speaks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, Protocol

from aegis_tui.testing import scripted_google, scripted_messages
from aegis_tui.testing.scripted_chat import ChatDialect
from aegis_tui.testing.scripted_generation import Generation
from aegis_tui.testing.scripted_google import GoogleDialect
from aegis_tui.testing.scripted_http import HttpRequest
from aegis_tui.testing.scripted_messages import MessagesDialect
from aegis_tui.testing.scripted_request import ChatError, ScriptedRequest
from aegis_tui.testing.scripted_responses import ResponsesDialect


class Dialect(Protocol):
    """The words of one API: reads its requests, and writes replies and refusals."""

    name: str

    def parse(self, request: HttpRequest) -> ScriptedRequest:
        """Check a request and return it in the common form.

        Raises:
            ChatError: It is not valid.
        """

    def error(self, error: ChatError) -> dict[str, Any]:
        """Return the JSON body that tells a client of this API about a refusal; the status is sent by the caller."""

    async def whole(self, generation: Generation) -> dict[str, Any]:
        """Run the generation and return its reply as one object, after the time that a stream would take.

        Call `whole` or `stream` once for a generation.
        """

    def stream(self, generation: Generation) -> AsyncIterator[bytes]:
        """Run the generation and yield its reply as server-sent events, at its pace.

        Call `whole` or `stream` once for a generation.
        """


class Route(NamedTuple):
    """What a path answers."""

    dialect: Dialect
    render_count: Callable[[int], dict[str, Any]] | None = None
    """Makes the reply from the number of prompt tokens, for a path that only counts them."""


CHAT = ChatDialect()
_MESSAGES = MessagesDialect()
_GOOGLE = GoogleDialect()
_ROUTES = {
    "/v1/chat/completions": Route(CHAT),
    "/v1/responses": Route(ResponsesDialect()),
    "/v1/messages": Route(_MESSAGES),
    scripted_messages.COUNT_PATH: Route(_MESSAGES, scripted_messages.render_count),
}


def find_route(request: HttpRequest) -> Route | None:
    """Return the dialect that a model request speaks, and whether its path only counts tokens.

    None for other requests.
    """
    if request.method != "POST":
        return None
    if match := scripted_google.METHOD_PATH.fullmatch(request.path):
        return Route(_GOOGLE, scripted_google.render_count if match[1] == "countTokens" else None)
    return _ROUTES.get(request.path)
