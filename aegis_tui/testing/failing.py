"""Faults on purpose: a port whose next calls fail, whatever port it is."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any


class Failing:
    """Passes everything on to a port, but for the calls that are to fail.

    Args:
        port: What is spoken to.
    """

    def __init__(self, port: Any) -> None:
        self._port = port
        self._faults: dict[str, deque[BaseException]] = defaultdict(deque)
        self.calls: list[str] = []
        """Names of the methods that were called, in order."""

    def fail(self, method: str, *faults: BaseException) -> None:
        """Let the next calls of a method raise these, one after the other; then it works again."""
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
