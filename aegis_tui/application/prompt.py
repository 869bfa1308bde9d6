"""Give instances a prompt, and say what became of it (PANE-4)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

DELIVERY_S = 5.0
"""How long a sender waits for the acknowledgement before it calls the prompt queued."""


class Post(Protocol):
    """How a caller reaches instances, and hears of what reached them."""

    async def send(self, agent_id: str, text: str) -> int | None:
        """Send one prompt: its number, or None where it was refused and the person has been told so."""
        ...

    async def acknowledged(self, numbers: Collection[int], deadline_s: float) -> Collection[int]:
        """Those that their addressees have acknowledged, as soon as all have, or at the deadline."""
        ...


async def deliver(post: Post, targets: Sequence[str], text: str) -> dict[str, tuple[int, bool]]:
    """The number of each prompt that was taken, by agent id, and whether it was acknowledged in `DELIVERY_S`."""
    sent = {target: number for target in targets if (number := await post.send(target, text)) is not None}
    if not sent:
        return {}
    heard = await post.acknowledged(list(sent.values()), DELIVERY_S)
    return {target: (number, number in heard) for target, number in sent.items()}
