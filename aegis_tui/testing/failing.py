"""Deliberate faults: wraps any port so that its next calls fail."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any


class Failing:
    """Forwards all calls to a port, except those that must fail.

    Args:
        port: The wrapped object.
    """

    def __init__(self, port: Any) -> None:
        self._port = port
        self._faults: dict[str, deque[BaseException]] = defaultdict(deque)
        self.calls: list[str] = []
        """Names of the methods that were called, in order."""

    def fail(self, method: str, *faults: BaseException) -> None:
        """Let the next calls of a method raise these errors, one per call; later calls are forwarded again.

        Also a coroutine's error is raised by the call itself, before anything is awaited. The name is not checked.
        """
        self._faults[method] += faults

    def __getattr__(self, name: str) -> Any:
        there = getattr(self._port, name)
        return self._watched(name, there) if callable(there) else there

    def _watched(self, name: str, there: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **fields: Any) -> Any:
            self.calls.append(name)
            if self._faults[name]:
                raise self._faults[name].popleft()
            return there(*args, **fields)

        return call
