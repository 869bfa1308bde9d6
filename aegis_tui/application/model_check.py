"""Checks the model server that the settings name: that it answers, serves a model, and that this can call a tool."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing

from aegis_tui.application.check import Check
from aegis_tui.config import Settings
from aegis_tui.domain.count import listed
from aegis_tui.errors import AegisError
from aegis_tui.ports.llm import ChatModel, ChatReply, ping_request
from aegis_tui.ports.model_server import ChooseModel, ModelEndpoint, ProbeEndpoint

TOOL_CALL_DEADLINE_S = 30.0
_TOOL_CALL_FIX = "serve the model with --enable-auto-tool-choice and --tool-call-parser, as aegis-tui vllm start does"
SERVER_FIX = (
    "start one: aegis-tui vllm start MODEL, or name another: --base-url, AEGIS_BASE_URL; aegis-tui demo needs none"
)


class ModelCheck:
    """Checks the model server of some settings.

    Args:
        probe_endpoint: Asks a model server for its models, if its address is inside the boundary.
        open_model: Opens a client for a base URL.
        chooser: Chooses among several models.
        find_key_warnings: Returns warnings about the model server's key file, each as `problem: fix`.
        settings: The person's settings.
    """

    def __init__(
        self,
        *,
        probe_endpoint: ProbeEndpoint,
        open_model: Callable[[str], ChatModel],
        chooser: ChooseModel,
        find_key_warnings: Callable[[], Sequence[str]] = tuple,
        settings: Settings,
    ) -> None:
        self._probe_endpoint, self._open_model = probe_endpoint, open_model
        self._chooser, self._find_key_warnings, self._settings = chooser, find_key_warnings, settings

    async def examine(self) -> list[Check]:
        """Check the model server of the settings, with a tool call, which may take 30 s; failures are checks."""
        try:
            endpoint = await self._probe_endpoint(self._settings.base_url)
        except AegisError as error:
            fix = error.hint if error.code in ("model.key", "usage") else SERVER_FIX
            return [Check("model", False, error.message, fix, essential=True)]
        served = listed(endpoint.models) or "no model"
        try:
            model = await self._choose(endpoint)
        except AegisError as error:
            return [Check("model", False, error.message, error.hint, essential=True)]
        serves = Check(
            "model",
            model is not None,
            f"{endpoint.base_url} serves {served}",
            "load a model on that server",
            essential=True,
        )
        rights = [_key_check(warning) for warning in self._find_key_warnings()]
        return [serves, *rights, *([await self._tool_call(endpoint, model)] if model is not None else [])]

    async def _choose(self, endpoint: ModelEndpoint) -> str | None:
        """Return the model that a run would work with; None if the server serves none and the settings name none.

        Raises:
            ModelUnavailable: No model answers, the one in the settings is not served, or the server refuses the key.
        """
        if endpoint.scripted:
            return self._settings.model or next(iter(endpoint.models), None)
        return (await self._chooser.choose(endpoint.base_url, endpoint.models, wanted=self._settings.model)).model

    async def _tool_call(self, endpoint: ModelEndpoint, model: str) -> Check:
        """Check that the model can make a streamed tool call, which every agent needs; a scripted one passes unasked.

        Returns:
            The check; failed if the server does not answer in time, refuses, or answers without a usable call.
        """
        name = "tool call"
        if endpoint.scripted:
            return Check(name, True, "a scripted model: its calls are read from files")
        client, started = self._open_model(endpoint.base_url), time.monotonic()
        try:
            async with asyncio.timeout(TOOL_CALL_DEADLINE_S):
                reply = await _ask_for_call(client, model)
        except TimeoutError:
            return Check(name, False, f"no tool call within {TOOL_CALL_DEADLINE_S:g} s", _TOOL_CALL_FIX)
        except AegisError as error:
            return Check(name, False, error.message, _TOOL_CALL_FIX)
        finally:
            await client.close()
        took = f"{time.monotonic() - started:.1f} s"
        usable = [call for call in reply.tool_calls if call.name == "ping" and _is_json(call.arguments)]
        words = f"streamed in {took}" if usable else f"{model} answered without a usable tool call"
        return Check(name, bool(usable), words, _TOOL_CALL_FIX)


async def _ask_for_call(client: ChatModel, model: str) -> ChatReply:
    reply = ChatReply("")
    async with aclosing(client.stream(ping_request(model))) as parts:
        async for part in parts:
            if isinstance(part, ChatReply):
                reply = part
    return reply


def _key_check(warning: str) -> Check:
    problem, _, fix = warning.partition(": ")
    return Check("model key", False, problem, fix)


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
