"""Tracks what became of prompts to instances (PANE-4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from aegis_tui.domain.message.answer import DeliveryAnswer

DELIVERY_S = 5.0
"""How long a sender waits for the answer before it reports a prompt as queued."""

Word = Literal["delivered", "queued", "refused", "unknown"]

_WORDS: Mapping[Word, str] = {
    "delivered": "delivered",
    "queued": "queued for its next turn",
    "refused": "not delivered; the events say why",
    "unknown": "typed, but perhaps not received; look at its pane",
}


class PromptDelivery:
    """Prompts that were sent, and what their recipients have said of them.

    Args:
        sent: Agent id of the recipient -> sequence number of its prompt.
    """

    def __init__(self, sent: Mapping[str, int]) -> None:
        self.sent = dict(sent)
        self._answers: dict[int, DeliveryAnswer] = {}

    @property
    def is_complete(self) -> bool:
        """Whether it is known of every prompt what became of it: delivered, refused or unknown.

        It says nothing of replies.
        """
        return self._answers.keys() >= set(self.sent.values())

    def hear(self, answers: Mapping[int, DeliveryAnswer]) -> None:
        """Record what became of prompts, sequence number -> answer, in place of what was recorded before.

        Entries for other messages have no effect.
        """
        self._answers.update(answers)

    def word(self, agent_id: str) -> Word:
        """Return what became of the prompt to a recipient: what was recorded of it, or `queued` while nothing was.

        Raises:
            KeyError: No prompt was sent to it.
        """
        return self._answers.get(self.sent[agent_id], "queued")

    def words(self, agent_id: str) -> str:
        """Return the same as `word`, as a phrase for a person.

        Raises:
            KeyError: No prompt was sent to it.
        """
        return _WORDS[self.word(agent_id)]
