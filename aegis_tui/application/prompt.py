"""Tracks whether prompts to instances were delivered (PANE-4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

DELIVERY_S = 5.0
"""How long a sender waits for the acknowledgement before it reports a prompt as queued."""


class PromptDelivery:
    """Prompts that were sent, and which of them their recipients have acknowledged.

    Args:
        sent: Agent id of the recipient -> sequence number of its prompt.
    """

    def __init__(self, sent: Mapping[str, int]) -> None:
        self.sent = dict(sent)
        self._unheard = set(sent.values())

    @property
    def is_complete(self) -> bool:
        """Whether every prompt was acknowledged."""
        return not self._unheard

    def hear(self, numbers: Iterable[int]) -> None:
        """Record that the prompts with these numbers were acknowledged; unknown numbers are ignored."""
        self._unheard.difference_update(numbers)

    def is_delivered(self, agent_id: str) -> bool:
        """Return whether a recipient has acknowledged its prompt; False means that the prompt waits for its next turn.

        Raises:
            KeyError: No prompt was sent to it.
        """
        return self.sent[agent_id] not in self._unheard
