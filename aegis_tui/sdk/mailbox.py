"""Reads an instance's messages for a tool, and says to the hub which of them it has got (HUB-7, AGENT-6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aegis_tui.sdk.notice_box import NoticeBox
from aegis_tui.sdk.tool_results import MessageList

Send = Callable[..., Awaitable[dict[str, Any]]]
"""Sends one command of contract 5 as the instance and returns its reply, or raises the error of its refusal."""


async def acknowledge(send: Send, up_to: int) -> None:
    """Acknowledge all messages to the instance up to a number, so that the hub does not give them to it again.

    Args:
        send: Sends a command.
        up_to: The number (`seq`) of a message; for 0, nothing is sent.

    Raises:
        AegisError: The errors of `send`; some messages may be acknowledged then.
    """
    cursor = 0
    while cursor < up_to:
        waiting = await send("message:read", after=cursor)
        for item in waiting["messages"]:
            if item["seq"] <= up_to:
                await send("ack", of=item["seq"])
        cursor = waiting["next_after"] if waiting["more"] else up_to


async def read_page(send: Send, after: int, box: NoticeBox | None) -> MessageList:
    """Return the unacknowledged messages after a number, as many as fit into one page; empty if there are none.

    Args:
        send: Sends a command.
        after: The number (`seq`) of a message, or 0.
        box: The lines that wait for the program of a hosted instance. The page's messages are taken out of it and
            acknowledged, so that they come by no other way, and its lines that are no messages become the `notices` of
            the page. None for any other caller: nothing is acknowledged.

    Raises:
        AegisError: The errors of `send`.
    """
    page = MessageList.model_validate(await send("message:read", after=after))
    if box is None:
        return page
    numbers = [message.seq for message in page.messages]
    box.take(set(numbers))
    for number in numbers:
        await send("ack", of=number)
    return page.model_copy(update={"notices": [notice.line for notice in box.take({None})]})
