"""The agent's own copy of what its instance may write, kept up to date by hub events (PART-3, PART-6).

The hub and the git hooks decide in the end; with this copy the model gets an answer at once.
"""

from __future__ import annotations

from collections import defaultdict

from aegis_tui.agent.settings import InstanceScope
from aegis_tui.domain.glob.pattern import escape_glob
from aegis_tui.domain.scope.partition import PartitionTable, Verdict
from aegis_tui.ports.hub_link import HubEvent


class WriteScope:
    """Decides whether this instance may write a path."""

    def __init__(self, agent_id: str, scope: InstanceScope) -> None:
        self.agent_id = agent_id
        self.scope = scope
        self._own: tuple[str, ...] = scope.partition
        self._granted: tuple[str, ...] = ()
        self._table = PartitionTable(ignore_case=scope.ignore_case)
        owned: dict[str, list[str]] = defaultdict(list)
        for glob, owner in scope.owners.items():
            if owner != agent_id:
                owned[owner].append(glob)
        for owner, globs in owned.items():
            self._table.set(owner, globs)
        self._table.set(agent_id, scope.partition)
        self._table.set_scope(shared=scope.shared, joint=scope.joint)

    def verdict(self, path: str) -> Verdict:
        """Return whether the instance may write `path`, whether that needs a lock, and why not.

        Args:
            path: A POSIX path relative to the worktree.
        """
        return self._table.verdict(self.agent_id, path)

    def own_globs(self) -> tuple[str, ...]:
        """Return the globs of the instance's partition, and globs of the single paths that were granted to it."""
        return (*self._own, *self._granted)

    def follow(self, event: HubEvent) -> None:
        """Apply a `partition:changed` or `scope:granted` event; other events change nothing."""
        if event.type == "partition:changed":
            globs = [str(glob) for glob in event.data.get("globs", ())]
            self._table.set(event.agent_id, globs)
            if event.agent_id == self.agent_id:
                self._own = tuple(globs)
        elif event.type == "scope:granted":
            to, path = str(event.data.get("to", "")), str(event.data.get("path", ""))
            self._table.grant(to, path)
            if to == self.agent_id:
                self._granted = (*self._granted, escape_glob(path))
