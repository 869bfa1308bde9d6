"""Deadlock detection: the wait-for graph between instances, searched before a wait is acknowledged (LOCK-4)."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping

from aegis_tui.domain.lock.table import LockTable
from aegis_tui.domain.lock.wait import Wait


def find_cycle(table: LockTable, asked: Wait) -> tuple[str, ...]:
    """Return the shortest cycle of waiting instances that this request would close if it were queued now.

    An instance waits for the holders and for the requests ahead of its own in the queue; it waits for the asker also
    where the new request would go ahead of its own. All requests of an instance count as one node of the graph, because
    it releases nothing while it waits.

    Args:
        table: State after the last logged event; not changed.
        asked: The new request.

    Returns:
        Agent ids, the asker first, each followed by one that it waits for; empty when there is no cycle.
    """
    came_from: dict[str, str] = {}
    queue = deque([asked.agent_id])
    while queue:
        agent_id = queue.popleft()
        for blocker in sorted(_waits_for(table, agent_id, asked, known=came_from)):
            if blocker == asked.agent_id:
                return _path_to(agent_id, came_from)
            came_from[blocker] = agent_id
            queue.append(blocker)
    return ()


def _waits_for(table: LockTable, agent_id: str, asked: Wait, *, known: Container[str]) -> set[str]:
    """Return the ids of the agents that an instance waits for, as if the request `asked` were queued already.

    Args:
        table: State after the last logged event.
        agent_id: The instance; if it is the asker, `asked` counts as one of its requests.
        asked: The new request.
        known: Agents that are left out: a queue of n requests on one file has n * n edges.
    """
    own = table.waits_of(agent_id)
    if agent_id == asked.agent_id:
        own.append(asked)
    blockers = {lock.agent_id for wait in own for lock in table.holders_against(wait) if lock.agent_id not in known}
    blockers |= {other.agent_id for wait in own for other in table.waits_ahead_of(wait, skip=known)}
    if any(wait.is_behind(asked) for wait in own):
        blockers.add(asked.agent_id)
    return blockers


def _path_to(agent_id: str, came_from: Mapping[str, str]) -> tuple[str, ...]:
    path = [agent_id]
    while path[-1] in came_from:
        path.append(came_from[path[-1]])
    return tuple(reversed(path))
