"""A prompt is delivered once its addressee says so, and queued until then (PANE-4)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from aegis_tui.application.prompt import DELIVERY_S, deliver


class Post:
    """Takes prompts for those it knows; some of them answer."""

    def __init__(self, known: dict[str, bool]) -> None:
        self.known = known
        self.numbers: dict[int, str] = {}
        self.deadlines: list[float] = []

    async def send(self, agent_id: str, text: str) -> int | None:
        if agent_id not in self.known:
            return None
        self.numbers[len(self.numbers) + 7] = agent_id
        return len(self.numbers) + 6

    async def acknowledged(self, numbers: Collection[int], deadline_s: float) -> set[int]:
        self.deadlines.append(deadline_s)
        return {number for number in numbers if self.known[self.numbers[number]]}


def test_each_prompt_is_told_apart() -> None:
    post = Post({"NATIVE-w01": True, "NATIVE-w02": False})
    sent = asyncio.run(deliver(post, ["NATIVE-w01", "NATIVE-w02", "NATIVE-w03"], "go on"))
    assert sent == {"NATIVE-w01": (7, True), "NATIVE-w02": (8, False)}
    assert post.deadlines == [DELIVERY_S]


def test_nobody_is_waited_for_when_nothing_was_sent() -> None:
    post = Post({})
    assert asyncio.run(deliver(post, ["NATIVE-w01"], "go on")) == {}
    assert post.deadlines == []
