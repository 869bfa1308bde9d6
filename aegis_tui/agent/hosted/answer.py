"""What the wrapper says about a turn: to the hub about messages, and to a person about how the program ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aegis_tui.agent.hosted.program import Ran
from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.errors import AegisError, Unavailable
from aegis_tui.ports.delivery import Delivery

SUBMITS = "Ctrl-], pressed twice, submits the work"
INTERRUPTED = f"the program was interrupted in its pane; {SUBMITS}, and the next prompt continues it"
PERSONS_TURN = "the program is working on a prompt that was typed into it"
YOUR_TURN = f"the prompt that was typed into the program is done; {SUBMITS}, and so does the program's exit"
QUIT = "the program has ended in its pane; the next prompt starts it again"
NOT_DELIVERED = {
    Delivery.REFUSED: "the program showed no input box, so the prompt was not typed",
    Delivery.UNKNOWN: "the prompt was typed, but none of the program's model calls contained it",
}
WAS_TYPED = "the turn was interrupted after the prompt was typed, before any of the program's model calls contained it"


class DeliveryReport:
    """Answers for messages when it is known what became of them; later answers have no effect.

    Args:
        answer: Sends an answer for each of the numbers to the hub.
        numbers: The numbers of the messages.
    """

    def __init__(self, answer: Callable[..., Awaitable[None]], numbers: list[int]) -> None:
        self._answer, self._numbers = answer, numbers

    async def __call__(self, delivery: Delivery, reason: str) -> None:
        """Send what became of the messages to the hub; only the first call does anything.

        Args:
            delivery: What became of them.
            reason: Why they were not delivered, or why that is not known; may be empty.
        """
        numbers, self._numbers = self._numbers, []
        await self._answer(*numbers, delivery=delivery, reason=reason)


def not_delivered(delivery: Delivery) -> AegisError:
    """Return the error for a prompt that was refused, or of which nobody knows (code `agent.prompt`)."""
    return Unavailable(NOT_DELIVERED[delivery], "attach to its pane and look", code="agent.prompt")


def failure_of(kind: KindFile, ran: Ran) -> AegisError:
    """Return the error for a run of the program that has failed (code `agent.program`).

    It has the exit code, or says that the program itself reports a failure, and the last lines of its output.
    """
    how = "reports that it failed" if ran.code == 0 else f"ended with exit code {ran.code}"
    tail = f":\n{ran.last_lines}" if ran.last_lines else ""
    return Unavailable(
        f"{kind.title} {how}{tail}", "aegis-tui transcript ID shows all of its output", code="agent.program"
    )
