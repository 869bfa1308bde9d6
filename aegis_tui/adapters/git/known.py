"""Answers about commits and trees that are named by their ids: they never change, so git is asked only once."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def is_oid(name: str) -> bool:
    """Return whether a name is a full object id, which never comes to mean another object."""
    return _OID.fullmatch(name) is not None


class KnownAnswers(Generic[T]):
    """The latest answers to one question about objects.

    Args:
        most: How many answers are kept.
    """

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, ...], T] = OrderedDict()

    async def get(
        self, names: tuple[str, ...], ask: Callable[[], Awaitable[T]], *, may_keep: Callable[[T], bool] | None = None
    ) -> T:
        """Return what `ask` answers about these objects, without asking again while the answer is kept.

        What `ask` raises is raised, and it is asked again the next time. Beyond `most` answers, the one that was not
        used for longest is dropped.

        Args:
            names: The objects. A name that is no full object id, such as a branch, can come to mean another object:
                such an answer is not kept.
            ask: Asks git.
            may_keep: Returns False for an answer that must not be kept; None to keep all.
        """
        if names in self._kept:
            self._kept.move_to_end(names)
            return self._kept[names]
        answer = await ask()
        if all(map(is_oid, names)) and (may_keep is None or may_keep(answer)):
            self._kept[names] = answer
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return answer
