"""What git has said about objects is not asked twice, and nothing is kept that can change."""

from __future__ import annotations

import asyncio

import pytest

from aegis_tui.adapters.git.known import KnownAnswers
from aegis_tui.errors import GitError

ONE, OTHER = "1" * 40, "a" * 64


class Asked:
    """Answers with the number of times that it was asked; the first time with an error, if it is to fail."""

    def __init__(self, *, fails: bool = False) -> None:
        self.times, self._fails = 0, fails

    async def __call__(self) -> int:
        self.times += 1
        if self._fails and self.times == 1:
            raise GitError("not now")
        return self.times


def test_an_answer_about_objects_is_asked_once() -> None:
    async def main() -> None:
        known, ask = KnownAnswers[int](), Asked()
        assert [await known.get((ONE, OTHER), ask) for _ in range(3)] == [1, 1, 1]
        assert await known.get((OTHER, ONE), ask) == 2

    asyncio.run(main())


@pytest.mark.parametrize("name", ["HEAD", "refs/heads/main", "1" * 39, "1" * 41, f"{ONE}^", "A" * 40, ""])
def test_an_answer_about_a_name_that_can_move_is_not_kept(name: str) -> None:
    async def main() -> None:
        known, ask = KnownAnswers[int](), Asked()
        assert [await known.get((ONE, name), ask) for _ in range(2)] == [1, 2]

    asyncio.run(main())


def test_errors_and_what_must_not_be_kept_are_asked_again() -> None:
    async def main() -> None:
        known, ask = KnownAnswers[int](), Asked(fails=True)
        with pytest.raises(GitError):
            await known.get((ONE,), ask)
        assert [await known.get((ONE,), ask, may_keep=lambda it: it > 2) for _ in range(3)] == [2, 3, 3]

    asyncio.run(main())


def test_only_the_latest_answers_are_kept() -> None:
    async def main() -> None:
        known, ask = KnownAnswers[int](2), Asked()
        for name in ("1" * 40, "2" * 40, "1" * 40, "3" * 40, "1" * 40):
            await known.get((name,), ask)
        assert ask.times == 3
        assert await known.get(("2" * 40,), ask) == 4

    asyncio.run(main())
