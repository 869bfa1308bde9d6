"""Checks whether a history of concurrent lock operations is linearizable.

Linearizability is local: a history is linearizable if each object's part of it is (Herlihy and Wing 1990). So each
resource is checked separately, with the algorithm of Wing and Gong and Lowe's cache of configurations already seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["acquire", "release"]
Outcome = Literal["granted", "held", "withdrawn", "released", "stale", "unknown"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One EXCLUSIVE lock operation as its client saw it.

    Attributes:
        agent: The client.
        kind: The requested operation.
        resource: The path.
        called_at: The time before the request was sent, in seconds on a clock that all clients share.
        returned_at: The time after its answer was received, on the same clock.
        outcome: `held`: refused, because another client holds it. `withdrawn`: not granted in the time that it waited.
            `stale`: a release of a lock that was no longer held. `unknown`: no answer; the operation may have been
            carried out, perhaps later, or not.
        token: The token that was granted, or whose lock was to be released.
    """

    agent: str
    kind: Kind
    resource: str
    called_at: float
    returned_at: float
    outcome: Outcome
    token: int = 0


class _State(NamedTuple):
    """The state of a lock between two operations that are carried out one after the other."""

    holder: str = ""
    token: int = 0
    highest: int = 0


def find_violation(history: Iterable[Operation]) -> str | None:
    """Return the first resource, by name, whose operations cannot have happened one after the other; None if all can.

    The order must respect real time: an operation that returned before another was called comes first. Operations of
    other resources have no effect.
    """
    by_resource: dict[str, list[Operation]] = {}
    for operation in history:
        by_resource.setdefault(operation.resource, []).append(operation)
    return next((name for name, part in sorted(by_resource.items()) if not _is_linearizable(part)), None)


def _is_linearizable(operations: list[Operation]) -> bool:
    ordered = sorted(operations, key=lambda operation: operation.called_at)
    needed = sum(1 << place for place, operation in enumerate(ordered) if operation.outcome != "unknown")
    seen: set[tuple[int, _State]] = set()
    stack = [(0, _State())]
    while stack:
        done, state = configuration = stack.pop()
        if done & needed == needed:
            return True
        if configuration in seen:
            continue
        seen.add(configuration)
        for place in _may_be_next(ordered, done):
            after = _step(state, ordered[place])
            if after is not None:
                stack.append((done | 1 << place, after))
    return False


def _may_be_next(ordered: list[Operation], done: int) -> Iterator[int]:
    """Yield the indices of the operations that can come next in an order that respects real time.

    Those are the ones that are not done and were called before any other such operation with an answer had returned.

    Args:
        ordered: All operations, by the time at which they were called.
        done: A bit for each operation that is done, by its index.
    """
    first = (~done & (done + 1)).bit_length() - 1
    earliest_return = math.inf
    for place in range(first, len(ordered)):
        operation = ordered[place]
        if operation.called_at > earliest_return:
            return
        if not done >> place & 1:
            yield place
            if operation.outcome != "unknown":
                earliest_return = min(earliest_return, operation.returned_at)


def _step(state: _State, operation: Operation) -> _State | None:
    """Return the lock's state after an operation with this outcome; None if the outcome is impossible in `state`."""
    agent, token = operation.agent, operation.token
    match operation.outcome:
        case "granted":
            if state.holder == agent:
                return state if token == state.token else None
            return _State(agent, token, token) if not state.holder and token > state.highest else None
        case "held":
            return state if state.holder not in ("", agent) else None
        case "withdrawn":
            return state
        case "released":
            return _State(highest=state.highest) if (state.holder, state.token) == (agent, token) else None
        case "stale":
            return state if (state.holder, state.token) != (agent, token) else None
        case "unknown":
            return _unanswered(state, operation)


def _unanswered(state: _State, operation: Operation) -> _State | None:
    """Return the state after an operation without an answer that was carried out; None if it is not modelled.

    A release may have freed the lock. An unanswered grant has no token that could be checked.
    """
    if operation.kind == "release" and (state.holder, state.token) == (operation.agent, operation.token):
        return _State(highest=state.highest)
    return None
