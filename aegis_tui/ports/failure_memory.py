"""The memory of failures: stored, found again and forgotten (MEM-1 to MEM-4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from aegis_tui.domain.memory.model import Failure, Recalled


class FailureCount(NamedTuple):
    """How often the agents of one kind with one model failed."""

    kind: str
    model: str
    """The name of the model that the instance worked with; empty if it is not known."""
    failures: int
    resolved: int


class FailureMemory(Protocol):
    """The failures of a workspace. All methods block; `StoreError` if the memory cannot be read or written."""

    def keep(self, failures: Sequence[Failure]) -> None:
        """Store failures, all or none; one that is known by its id is replaced, one that was forgotten stays so."""
        ...

    def last(self, count: int) -> list[Failure]:
        """Return the newest failures, the newest first, at most `count`."""
        ...

    def similar(self, text: str, count: int) -> list[Recalled]:
        """Return the failures that resemble a text, the most similar first, at most `count`; may be empty."""
        ...

    def by_agent(self) -> list[FailureCount]:
        """Return the number of failures of each kind of agent with each model, the largest first."""
        ...

    def forget(self, failure_id: str) -> bool:
        """Delete a failure for good, also from the file; return False if there is none of that id."""
        ...

    def close(self) -> None:
        """Close the memory; a second call does nothing."""
        ...
