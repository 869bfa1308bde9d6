"""The tool loop: ask the model, run what it calls, until the task ends (AGENT-1, FLOW-11)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from aegis_tui.agent.conversation import Conversation
from aegis_tui.agent.last_words import error_words
from aegis_tui.agent.progress import Progress
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.toolbox import Outcome, Toolbox
from aegis_tui.domain.prompt import REMINDER, unparsed_tool_call
from aegis_tui.domain.tool import tool_schemas
from aegis_tui.errors import AegisError, ModelError
from aegis_tui.ports.llm import ChatModel, ChatReply, ChatRequest, TextDelta

_log = logging.getLogger(__name__)

MAX_UNUSABLE = 3
"""Replies in a row without one usable call that are answered with what is wrong; the next one fails the task."""
MAX_REMINDERS = 2
"""Replies in a row without any call that are answered with a reminder; the next one fails the task."""
MAX_LOST = 3
"""Times in a row that a reply cut off in its middle is asked for again."""

_PARSER_HINT = (
    "; its text holds a tool call that the server did not parse: check the server's tool call parser with "
    "`aegis-tui doctor`"
)


class ToolLoop:
    """Drives one task at a time over a conversation that stays."""

    def __init__(
        self,
        model: ChatModel,
        model_name: str,
        *,
        conversation: Conversation,
        toolbox: Toolbox,
        progress: Progress,
        screen: Screen,
        max_turns: int,
    ) -> None:
        self._model = model
        self._model_name = model_name
        self._conversation = conversation
        self._toolbox = toolbox
        self._progress = progress
        self._screen = screen
        self._max_turns = max_turns
        self._schemas = tool_schemas(toolbox.role.tools)
        self._unusable = 0
        self._reminders = 0

    async def run(self, between_turns: Callable[[], Awaitable[None]]) -> Outcome:
        """Work until the task ends, and say how. Cancelling it leaves a conversation that can go on.

        Args:
            between_turns: Awaited before each request; it may append to the conversation.
        """
        self._unusable = self._reminders = 0
        try:
            for _ in range(self._max_turns):
                await between_turns()
                reply = await self._ask()
                self._conversation.add_reply(reply)
                self._progress.usage += reply.usage
                outcome = await self._act(reply) if reply.tool_calls else self._remind(reply)
                if outcome is not None:
                    return outcome
        except AegisError as error:
            return Outcome("failed", str(error), error)
        except Exception as error:  # the border of a task: a fault in this program ends the task, not the agent
            _log.exception("a turn failed")
            return Outcome("failed", error_words(error), error)
        finally:
            self._screen.end_stream()
            self._conversation.answer_rest("Not run: the turn was interrupted.")
        return Outcome("failed", f"the task was not finished within {self._max_turns} turns")

    async def _ask(self) -> ChatReply:
        """One reply, asked for again when the model is lost in its middle.

        Raises:
            ModelUnavailable: The server does not answer.
            ModelError: The server refused, or was lost too often.
        """
        lost = 0
        while True:
            try:
                return await self._ask_once()
            except ModelError as error:
                lost += 1
                if error.code != "model.lost" or lost > MAX_LOST:
                    raise
                self._screen.problem(f"{error}; asking again ({lost} of {MAX_LOST})")
                await self._progress.report(f"{error}; asking again")

    async def _ask_once(self) -> ChatReply:
        request = ChatRequest(self._model_name, self._conversation.messages, self._schemas)
        async with aclosing(self._model.stream(request)) as parts:
            async for part in parts:
                if isinstance(part, TextDelta):
                    self._screen.stream(part.text)
                else:
                    self._screen.end_stream()
                    return part
        raise ModelError("the model's reply did not end", code="model.lost")

    async def _act(self, reply: ChatReply) -> Outcome | None:
        """Run the calls of a reply in order; what comes after one that ends the task is not run."""
        self._reminders = 0
        any_usable = False
        problem = ""
        for call in reply.tool_calls:
            result = await self._toolbox.call(call)
            text = result.text
            if reply.finish_reason == "length" and not result.is_usable:
                text += " (your reply was cut off because it was too long; make smaller steps)"
            self._conversation.add_result(call.id, text)
            any_usable = any_usable or result.is_usable
            problem = problem if result.is_usable else result.text
            if result.outcome is not None:
                self._conversation.answer_rest("Not run: the task had ended.")
                return result.outcome
        self._unusable = 0 if any_usable else self._unusable + 1
        if self._unusable > MAX_UNUSABLE:
            return Outcome("failed", f"the model made {self._unusable} unusable calls in a row; the last: {problem}")
        return None

    def _remind(self, reply: ChatReply) -> Outcome | None:
        self._reminders += 1
        if self._reminders > MAX_REMINDERS:
            hint = _PARSER_HINT if unparsed_tool_call(reply.text) else ""
            return Outcome("failed", f"the model answered {self._reminders} times without calling a tool{hint}")
        self._conversation.add_user(REMINDER.format(finish=self._toolbox.finishing_tool))
        return None
