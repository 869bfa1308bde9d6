"""The instances of a workspace, changed only by events."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import assert_never

from pydantic import Field

from aegis_tui.domain import ids
from aegis_tui.domain.instance.events import (
    AgentJoined,
    AgentLeft,
    AgentState,
    InstanceAnswered,
    InstanceAsking,
    InstanceEnding,
    InstanceEvent,
    InstanceExited,
    InstanceLaunched,
    InstanceLost,
    InstancePlanned,
    InstancePrepared,
    InstanceReclaimed,
    InstanceStopping,
)
from aegis_tui.domain.instance.model import ENDED, Instance, Phase
from aegis_tui.domain.model import Key, StateModel

KEPT_ENDED = 32
"""How many ended instances that joined outside a run stay in the state: the newest."""


KEPT_FORMER = 4_096
"""How many ids of removed instances from outside runs stay reserved for an agent of the same kind."""


class InstanceTable:
    """The instances of a workspace that a view may still ask for, by agent id, in the order they were added.

    Ended ones are removed after a while; the log keeps them. The id of a planned instance is never used again; the id
    of one that joined outside a run stays reserved for it while it is in `former`.
    """

    def __init__(self) -> None:
        self.by_id: dict[str, Instance] = {}
        self.counters: dict[str, int] = {}
        self.former: dict[str, str] = {}
        """Case-folded instance id -> agent id of the newest `KEPT_FORMER` removed ones that joined outside a run."""
        self._hashes: dict[str, str] = {}

    def allocate(self, role: str) -> str:
        """Return the next instance id of a role; ids are never reused in a workspace (contract 2).

        The same id is returned until an instance with it is planned.

        Raises:
            KeyError: There is no such role.
        """
        return ids.next_instance_id(role, self.counters.get(role, 0) + 1)

    def forget_ended(self, kept_runs: Container[str]) -> list[str]:
        """Remove the ended instances that no view asks for; return their agent ids, empty if there are none.

        These are all of other runs, and of those that joined outside a run all but the newest `KEPT_ENDED`. Their ids
        stay reserved in `former`.

        Args:
            kept_runs: Runs whose instances stay, ended or not.
        """
        ended = [item for item in self.by_id.values() if item.phase in ENDED]
        gone = [item for item in ended if item.run is not None and item.run not in kept_runs]
        outside = sorted((item for item in ended if item.run is None), key=lambda item: item.ended_at or "")
        gone += outside[: max(0, len(outside) - KEPT_ENDED)]
        for item in gone:
            del self.by_id[item.agent_id]
            if item.token_hash:
                self._hashes.pop(item.token_hash, None)
            if item.run is None:
                self.former.pop(item.instance_id.casefold(), None)
                self.former[item.instance_id.casefold()] = item.agent_id
        while len(self.former) > KEPT_FORMER:
            del self.former[next(iter(self.former))]
        return [item.agent_id for item in gone]

    def find(self, name: str) -> Instance | None:
        """Return the instance with this agent id, or else the first with this short id; None when there is none."""
        if instance := self.by_id.get(name):
            return instance
        short = ids.instance_id(name)
        return next((item for item in self.by_id.values() if item.instance_id == short), None)

    def by_token_hash(self, token_hash: str) -> Instance | None:
        """Return the instance with this token hash; None if there is none, or it is lost, stopping or ended (HUB-8)."""
        instance = self.by_id.get(self._hashes.get(token_hash, ""))
        return instance if instance and instance.is_alive else None

    def of_run(self, run: str) -> Iterable[Instance]:
        """Return the instances that were planned for a run, living or not, in the order in which they were added."""
        return (item for item in self.by_id.values() if item.run == run)

    def alive(self) -> Iterable[Instance]:
        """Return the instances that can still do their task: not lost, stopping or ended."""
        return (item for item in self.by_id.values() if item.is_alive)

    def evolve(self, agent_id: str, data: InstanceEvent, timestamp: str) -> frozenset[Key]:
        """Apply one event in place and return the key of the instance that it changed; empty if it changes none.

        Never raises.

        An event about an unknown instance changes nothing, unless the instance is planned or joins by it: then it is
        added.
        """
        if isinstance(data, InstancePlanned):
            self._plan(agent_id, data, timestamp)
            return frozenset({("instance", agent_id)})
        instance = self.by_id.get(agent_id)
        if isinstance(data, AgentJoined) and instance is None:
            instance = self._join_outside(agent_id, data, timestamp)
        if instance is None:
            return frozenset()
        before = instance.word
        self._apply(instance, data, timestamp)
        if instance.word != before or instance.state_at is None:
            instance.state_at = timestamp
        return frozenset({("instance", agent_id)})

    def _plan(self, agent_id: str, data: InstancePlanned, timestamp: str) -> None:
        self.by_id[agent_id] = Instance(
            agent_id=agent_id, planned_at=timestamp, **data.model_dump(exclude={"type"}), last_seen=timestamp
        )
        self.counters[data.role] = self.counters.get(data.role, 0) + 1

    def _join_outside(self, agent_id: str, data: AgentJoined, timestamp: str) -> Instance:
        """Add and return an agent that a person connects outside a run, from its agent id (contract 2).

        It is only planned yet.
        """
        kind, _, short = agent_id.partition("-")
        instance = Instance(
            agent_id=agent_id, instance_id=short, role=data.role, kind=kind.lower(), planned_at=timestamp
        )
        self.by_id[agent_id] = instance
        return instance

    def _apply(self, instance: Instance, data: InstanceEvent, timestamp: str) -> None:
        match data:
            case InstancePrepared():
                instance.worktree, instance.token_hash = data.worktree, data.token_hash
                instance.advice, instance.around = data.advice, data.around
                instance.phase = Phase.PREPARED
                if data.token_hash:
                    self._hashes[data.token_hash] = instance.agent_id
            case InstanceLaunched():
                instance.pane, instance.pid, instance.started_at = data.pane, data.pid, timestamp
                if instance.phase is Phase.PREPARED:
                    instance.phase = Phase.LAUNCHED
            case AgentJoined():
                self._join(instance, data, timestamp)
            case AgentState() | InstanceAsking() | InstanceAnswered():
                self._say(instance, data)
            case InstanceStopping() | InstanceExited() | AgentLeft() | InstanceLost() | InstanceReclaimed():
                self._end(instance, data, timestamp)
            case InstancePlanned():
                return
            case _:
                assert_never(data)

    @staticmethod
    def _say(instance: Instance, data: AgentState | InstanceAsking | InstanceAnswered) -> None:
        match data:
            case AgentState():
                instance.state, instance.progress = data.state, data.progress
                instance.source, instance.evidence = data.source, data.evidence
                instance.note, instance.until = data.note, data.until
                instance.said = data.note or instance.said
                if data.state in ("failed", "blocked"):
                    instance.cause = data.cause
                instance.tokens = data.tokens or instance.tokens
                instance.blocked_names = data.blocked_names or instance.blocked_names
                instance.write_checks = data.write_checks or instance.write_checks
                instance.prompts += data.state == "asking"
            case InstanceAsking():
                instance.asks = data.asks
                instance.prompts += data.asks is not None
            case InstanceAnswered():
                instance.asks = None
            case _:
                assert_never(data)

    @staticmethod
    def _join(instance: Instance, data: AgentJoined, timestamp: str) -> None:
        instance.session, instance.partition = data.session, data.partition
        instance.phase, instance.last_seen, instance.ended_at = Phase.JOINED, timestamp, None
        instance.started_at = instance.started_at or timestamp
        if data.state is not None:  # one that joins again has nothing to do with what it said and why it ended before
            instance.state, instance.progress, instance.note = data.state, 0.0, None
            instance.cause, instance.stop_reason, instance.until = None, None, None
            instance.asks = None

    @staticmethod
    def _end(instance: Instance, data: InstanceEnding, timestamp: str) -> None:
        match data:
            case InstanceStopping():
                instance.phase = Phase.STOPPING if instance.is_alive else instance.phase
                instance.stop_reason = instance.stop_reason or data.reason
            case InstanceExited() | AgentLeft():
                if instance.phase is not Phase.RECLAIMED:
                    instance.phase = Phase.GONE
                instance.ended_at = instance.ended_at or timestamp
                if instance.worktree is None:
                    instance.phase = Phase.RECLAIMED
            case InstanceLost():
                instance.lost, instance.phase = True, Phase.STOPPING
                instance.note = data.reason
                instance.cause = instance.cause or data.cause
            case InstanceReclaimed():
                instance.phase, instance.rescue_ref = Phase.RECLAIMED, data.rescue_ref
                instance.ended_at = instance.ended_at or timestamp
            case _:
                assert_never(data)

    def dump(self) -> dict[str, object]:
        """Return the table as plain values for a snapshot."""
        return {
            "instances": [item.model_dump(mode="json") for item in self.by_id.values()],
            "counters": dict(sorted(self.counters.items())),
            "former": [[short, agent_id] for short, agent_id in self.former.items()],
        }

    @classmethod
    def load(cls, plain: dict[str, object]) -> InstanceTable:
        """Return a new table with the content that `dump` returned.

        Raises:
            ValueError: A value has another form.
        """
        table = cls()
        saved = _Saved.model_validate(plain)
        for item in saved.instances:
            table.by_id[item.agent_id] = item
            if item.token_hash:
                table._hashes[item.token_hash] = item.agent_id
        table.counters = saved.counters
        table.former = dict(saved.former)
        return table


class _Saved(StateModel):
    instances: list[Instance]
    counters: dict[str, int]
    former: list[tuple[str, str]] = Field(default_factory=list)
