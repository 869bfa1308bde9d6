"""The tool loop: ask the model, run what it calls, until the task ends (AGENT-1, FLOW-11)."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from aegis_tui.agent.context_budget import ContextBudget
from aegis_tui.agent.conversation import Conversation
from aegis_tui.agent.last_words import error_words, sentence_of
from aegis_tui.agent.progress import Progress
from aegis_tui.agent.reading import LENGTH, cut_words, read_reply
from aegis_tui.agent.refusals import Refusals
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.toolbox import TaskOutcome, Toolbox, ToolResult
from aegis_tui.domain.cause import Cause, cause_of, ended
from aegis_tui.domain.prompt import CUT_REMINDER, REMINDER, TEXT_CALL_REMINDER, unparsed_tool_call
from aegis_tui.domain.tool.call_text import without_thoughts
from aegis_tui.errors import (
    AegisError,
    ContextOverflow,
    HistoryRefused,
    ModelCut,
    ModelError,
    ModelLost,
    ModelMalformed,
    ModelRefused,
)
from aegis_tui.ports.llm import ChatModel, ChatReply, ChatRequest, TextDelta, ToolCall

_log = logging.getLogger(__name__)

MAX_UNUSABLE = 3
"""Replies in a row without a usable call that the agent answers with what is wrong; the next one fails the task."""
MAX_REMINDERS = 2
"""Replies in a row without any call that the agent answers with a reminder; the next one fails the task."""
MAX_LOST = 3
"""How often one reply is requested again because it was lost or cannot be read."""
MAX_SHORTENED = 3
"""How often a conversation is shortened for one reply because the server says that it is too long."""
SHORT_SHARE = 0.6
"""The share that is kept of a conversation that is too long; less if the server's numbers require it."""

_SHAPE_STATUS = (400, 422)
"""HTTP statuses of refusals that may be due to the form of the conversation although they do not say so."""
_NO_SYSTEM = re.compile(r"system.{0,40}(not|un)[- ]?support|only (user|support)", re.IGNORECASE)
_CUT_HINT = "Allow longer replies or a longer context on the server, or serve the model without thinking"
_PARSER_HINT = (
    "; its text holds a tool call that the server did not parse: check the server's tool call parser with "
    "`aegis-tui doctor`"
)


class ToolLoop:
    """Runs one task at a time; the conversation is kept from task to task."""

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
        max_minutes: float | None = None,
    ) -> None:
        self._model = model
        self._model_name = model_name
        self._conversation = conversation
        self._toolbox = toolbox
        self._progress = progress
        self._screen = screen
        self._max_turns, self._max_minutes = max_turns, max_minutes
        self._schemas = toolbox.schemas()
        self._budget = ContextBudget(model)
        self._unusable = 0
        self._reminders = 0
        self._refusals = Refusals()

    async def run(self, between_turns: Callable[[], Awaitable[None]]) -> TaskOutcome:
        """Work until the task ends, and return how it ended; errors are returned as the outcome `failed`.

        After a cancellation the conversation can be continued.

        Args:
            between_turns: Awaited before each request; it may append to the conversation.
        """
        self._unusable = self._reminders = 0
        self._refusals = Refusals()
        began = time.monotonic()
        try:
            for _ in range(self._max_turns):
                await between_turns()
                if self._max_minutes is not None and time.monotonic() - began > self._max_minutes * 60:
                    return TaskOutcome("failed", f"the task was not finished within {self._max_minutes:g} minutes")
                reply = await self._ask()
                self._conversation.add_reply(reply)
                self._progress.usage += reply.usage
                outcome = await self._act(reply) if reply.tool_calls else self._remind(reply)
                if outcome is not None:
                    return outcome
        except AegisError as error:
            return TaskOutcome("failed", sentence_of(error), cause_of(error))
        except Exception as error:  # an error of this program ends the task, not the agent
            _log.exception("a turn failed")
            words = error_words(error)
            return TaskOutcome("failed", words, Cause(code="agent.failed", message=ended(words)))
        finally:
            self._screen.end_stream()
            self._conversation.answer_rest("Not run: the turn was interrupted.")
        return TaskOutcome("failed", f"the task was not finished within {self._max_turns} turns")

    async def _ask(self) -> ChatReply:
        """Request one reply and return it.

        The request is repeated if the reply was lost or cannot be read, and with a shorter or plainer conversation if
        the server refuses its length or form.

        Raises:
            ModelUnavailable: The server does not answer.
            ModelError: The server refused, or too many replies were lost or could not be read.
        """
        tries: Counter[str] = Counter()
        while True:
            try:
                return await self._ask_once()
            except (ModelLost, ModelMalformed) as error:
                what = self._again(tries, "lost", MAX_LOST, error)
            except ContextOverflow as error:
                what = self._shorter(tries, error)
            except (HistoryRefused, ModelRefused) as error:
                what = self._plainer(tries, error)
            self._screen.problem(what)
            await self._progress.report(what)

    def _again(self, tries: Counter[str], kind: str, limit: int, error: ModelError) -> str:
        """Count an attempt of a kind and return a message about it; raise `error` if there were `limit` of them.

        Args:
            tries: The attempts for the present reply, by kind.
            kind: What went wrong.
            limit: How many are allowed.
            error: Why this attempt failed.
        """
        tries[kind] += 1
        if tries[kind] > limit:
            raise error
        return f"{error}; asking again ({tries[kind]} of {limit})"

    def _shorter(self, tries: Counter[str], error: ContextOverflow) -> str:
        """Shorten a conversation that the server finds too long to 60 % of its size or less, and return a message.

        Raises:
            ContextOverflow: `error`: it was shortened too often for this reply, or cannot be any shorter. It counts as
                certain for a successor too if the model has not replied yet: the brief alone is too long.
        """
        error.is_certain = self._conversation.is_unanswered
        words = self._again(tries, "overflow", MAX_SHORTENED, error)
        limit, asked = error.data.get("limit_tokens"), error.data.get("asked_tokens")
        share = SHORT_SHARE
        if isinstance(limit, int) and isinstance(asked, int):
            share = min(share, SHORT_SHARE * limit / asked)
        if not self._shorten(share):
            raise error
        return f"{words}, with the oldest results left out"

    def _shorten(self, share: float) -> bool:
        """Shorten the conversation, and forget which views of files it held; return whether it got shorter."""
        is_shorter = self._conversation.shorten(share)
        self._toolbox.reader.views.keep_only(self._conversation.results)
        return is_shorter

    def _plainer(self, tries: Counter[str], error: ModelRefused) -> str:
        """Use the plainest form of a conversation after a refusal, and return a message.

        Raises:
            ModelRefused: `error`: the refusal has another reason, or the conversation has that form already.
        """
        if not isinstance(error, HistoryRefused) and error.data.get("status") not in _SHAPE_STATUS:
            raise error
        words = self._again(tries, "shape", 1, error)
        keeps_system = not (isinstance(error, HistoryRefused) and _NO_SYSTEM.search(str(error)))
        if not self._conversation.make_plain(keeps_system=keeps_system):
            raise error
        return f"{words}, with the conversation in a plainer form"

    async def _ask_once(self) -> ChatReply:
        request = ChatRequest(self._model_name, self._conversation.messages, self._schemas)
        share = await self._budget.share_to_keep(request)
        if share is not None and self._shorten(share):
            self._screen.action("Shortened", "the conversation, which nearly filled the model's context")
            request = ChatRequest(self._model_name, self._conversation.messages, self._schemas)
        async with aclosing(self._model.stream(request)) as parts:
            async for part in parts:
                if isinstance(part, TextDelta):
                    self._screen.stream(part.text)
                else:
                    self._screen.end_stream()
                    self._budget.note(request, part)
                    return read_reply(part, allowed=self._toolbox.names)
        raise ModelLost("the model's reply broke off")

    async def _act(self, reply: ChatReply) -> TaskOutcome | None:
        """Run the calls of a reply in order, until one ends the task; return its outcome, or None if work goes on.

        Too many unusable or refused calls end the task as well, with the outcome `failed`.
        """
        self._reminders = 0
        any_usable = False
        problem = ""
        for call in reply.tool_calls:
            result = await self._toolbox.call(call)
            text = result.text
            if reply.finish_reason == LENGTH and not result.is_usable:
                text += " (your reply was cut off because it was too long; make smaller steps)"
            self._conversation.add_result(call.id, text)
            any_usable = any_usable or result.is_usable
            problem = problem if result.is_usable else result.text
            if result.outcome is not None:
                self._conversation.answer_rest("Not run: the task had ended.")
                return result.outcome
            if (refused := self._refused(call, result)) is not None:
                self._conversation.answer_rest("Not run: the task had ended.")
                return refused
        self._unusable = 0 if any_usable else self._unusable + 1
        if self._unusable > MAX_UNUSABLE:
            return TaskOutcome(
                "failed", f"the model made {self._unusable} unusable calls in a row; the last: {problem}"
            )
        return None

    def _refused(self, call: ToolCall, result: ToolResult) -> TaskOutcome | None:
        """Return the outcome `failed` if a refusal is certain to recur or came too often; None while work can go on.

        A call that was not refused is counted as accepted, if it was usable.
        """
        if result.refusal is None:
            if result.is_usable:
                self._refusals.accepted(call.name)
            return None
        finishes = call.name == self._toolbox.finishing_tool or call.name == "report"
        cause = self._refusals.refused(call.name, call.arguments, result.refusal, finishes=finishes)
        if cause is None:
            return None
        how = "cannot succeed" if cause.is_certain else "was refused repeatedly"
        return TaskOutcome("failed", f"{call.name} {how}: {cause.message}", cause)

    def _remind(self, reply: ChatReply) -> TaskOutcome | None:
        """Answer a reply without a call with a reminder, and return None.

        After too many of them in a row, return the outcome that ends the task instead.
        """
        self._reminders += 1
        cut, is_text_call = cut_words(reply), unparsed_tool_call(without_thoughts(reply.text))
        if self._reminders > MAX_REMINDERS:
            if cut:
                error = ModelCut(f"{cut}, {self._reminders} times in a row", _CUT_HINT)
                return TaskOutcome("failed", f"{error}. {error.hint}", cause_of(error))
            hint = _PARSER_HINT if is_text_call else ""
            return TaskOutcome("failed", f"the model answered {self._reminders} times without calling a tool{hint}")
        finish = self._toolbox.finishing_tool
        if cut:
            self._screen.problem(cut)
            self._conversation.add_user(CUT_REMINDER.format(cut=cut))
        else:
            self._conversation.add_user((TEXT_CALL_REMINDER if is_text_call else REMINDER).format(finish=finish))
        return None
