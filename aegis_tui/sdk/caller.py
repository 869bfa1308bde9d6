"""What several MCP tools do for the instance that calls them (HUB-7)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from aegis_tui.domain.review.finding import Criterion, Finding
from aegis_tui.domain.run.events import Stage
from aegis_tui.domain.wire.context import SharedContext
from aegis_tui.domain.wire.instance import InstanceView
from aegis_tui.domain.wire.piece import ReviewFields
from aegis_tui.domain.wire.run import RunView
from aegis_tui.errors import LockHeld, Refused
from aegis_tui.sdk.context import shared_context
from aegis_tui.sdk.tool_results import LockAnswer, Named

_POLL_S = 0.2

T = TypeVar("T")


class Caller:
    """The instance that calls tools, as which commands are sent.

    Args:
        ask: Sends one command of contract 5 and returns its reply, or raises the `AegisError` of its refusal.
        who: Returns the agent id that `ask` currently sends as.
    """

    def __init__(self, ask: Callable[..., Awaitable[dict[str, Any]]], who: Callable[[], str]) -> None:
        self._ask, self._who = ask, who

    async def _send(self, names: Iterable[str | None], text: str) -> list[str]:
        """Send a message to instances; return those that got it, each once, without those that have ended.

        Args:
            names: Agent ids; None stands for nobody.
            text: The message.

        Raises:
            AegisError: The hub refuses the text, or does not answer.
        """
        informed = []
        for name in dict.fromkeys(name for name in names if name):
            try:
                await self._ask("message:send", to=name, text=text)
            except Refused:
                continue
            informed.append(name)
        return informed

    def _me(self, context: SharedContext) -> InstanceView:
        """Return the caller's own entry in the state of the workspace.

        Raises:
            Refused: It has none (code `instance.unknown`).
        """
        for item in context["instances"]:
            if item["agent_id"] == self._who():
                return item
        raise Refused(
            f"{self._who()} is not an instance",
            "join first: aegis-tui connect --agent KIND --instance ID",
            code="instance.unknown",
        )

    async def _at_stage(self, wanted: Stage) -> RunView:
        """Return the run if it has reached a stage.

        Raises:
            Refused: There is no run, or it has not got that far; the error names the gate that is not met.
            AegisError: The hub refuses to give its state, or does not answer.
        """
        if (run := (await shared_context(self._ask))["run"]) is None:
            raise Refused("there is no run", "a person starts one: aegis-tui run GOAL", code="run.none")
        order = list(Stage)
        if order.index(Stage(run["stage"])) < order.index(wanted):
            shut = next((gate for gate in run["gates"] if not gate["passed"]), None)
            reason = f"{shut['name']}: {shut['reason']}" if shut else f"the run is at {run['stage']}"
            raise Refused(f"{wanted} has not begun: {reason}", shut["command"] if shut else "", code="gate")
        return run

    async def _review(self) -> tuple[RunView, ReviewFields]:
        """Return the run and the review that the hub has given to the caller.

        Raises:
            Refused: It has none (code `review.none`), or is no instance.
            AegisError: The hub refuses to give its state, or does not answer.
        """
        context = await shared_context(self._ask)
        wanted, run = self._me(context)["review_id"], context["run"]
        for review in run["reviews"] if run else ():
            if run and review["review_id"] == wanted:
                return run, review
        raise Refused("you have no review", "the hub gives one to each reviewer that it starts", code="review.none")

    async def _verdict(self, decision: str, criteria: list[Criterion], findings: list[Finding]) -> Named:
        """Send the verdict of the caller's review, and return the id of the review.

        Args:
            decision: `approve` or `reject`.
            criteria: What was found out about the acceptance criteria.
            findings: What has to change.

        Raises:
            AegisError: The caller reviews nothing, or the hub refuses the verdict or does not answer.
        """
        _, review = await self._review()
        judged = [item.model_dump(mode="json", by_alias=True) for item in criteria]
        reported = [item.model_dump(mode="json") for item in findings]
        review_id = review["review_id"]
        await self._ask("review:verdict", review_id=review_id, decision=decision, criteria=judged, findings=reported)
        return Named(names=[review_id])


def not_granted(held: LockHeld) -> LockAnswer:
    """Return the answer to a request for locks that somebody else holds: who, and how long they last at most."""
    facts = {name: held.data.get(name) for name in ("held_by", "expires_in_s")}
    message = f"{held.message}. {held.hint}" if held.hint else held.message
    return LockAnswer(granted=False, code=held.code, message=message, **facts)


def region_of(first_line: int | None, last_line: int | None, symbol: str | None) -> dict[str, Any]:
    """Return the fields of a lock's resource that name a part of the file; empty for the whole file.

    Args:
        first_line: 1-based; None for no lines.
        last_line: Inclusive; None for `first_line`. Ignored without that.
        symbol: A function or class by its dotted name.
    """
    lines = None if first_line is None else [first_line, first_line if last_line is None else last_line]
    return {name: value for name, value in (("lines", lines), ("symbol", symbol)) if value is not None}


async def until(look: Callable[[], Awaitable[T]], is_enough: Callable[[T], bool], wait_s: float) -> T:
    """Return what `look` returns, as soon as it is enough, and at the latest after `wait_s` seconds.

    Args:
        look: Asked at least once, then each 0.2 s; its errors are passed on.
        is_enough: Returns whether that is what is waited for.
        wait_s: How long to wait, in seconds.
    """
    end = time.monotonic() + wait_s
    value = await look()
    while not is_enough(value) and time.monotonic() < end:
        await asyncio.sleep(_POLL_S)
        value = await look()
    return value
