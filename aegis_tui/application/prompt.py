"""Prompts to instances, and what became of them (PANE-4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

DELIVERY_S = 5.0
"""How long a sender waits for the acknowledgement before it calls a prompt queued."""


class Delivery:
    """Prompts that were sent, and which of them their addressees have acknowledged.

    Args:
        sent: The number of each prompt, by the agent id that it was sent to.
    """

    def __init__(self, sent: Mapping[str, int]) -> None:
        self.sent = dict(sent)
        self._unheard = set(sent.values())

    @property
    def is_complete(self) -> bool:
        """Whether nobody has to be waited for any more."""
        return not self._unheard

    def hear(self, numbers: Iterable[int]) -> None:
        """These have been acknowledged; others than those that were sent change nothing."""
        self._unheard.difference_update(numbers)

    def is_delivered(self, agent_id: str) -> bool:
        """Whether an addressee has its prompt; what is not delivered yet is queued for its next turn."""
        return self.sent[agent_id] not in self._unheard
