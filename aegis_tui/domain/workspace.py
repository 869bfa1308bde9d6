"""The state of one workspace: everything the hub knows, changed only by events.

It is mutable and has one owner: the hub's writer, a mirror in the interface, or a simulator. `dump` and `load` are for
snapshots; they leave deadlines out, because these mean nothing in another process (coordination: clocks).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never

from aegis_tui.domain.deadline import Deadlines
from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.events import (
    AgentJoined,
    AgentLeft,
    InstanceEvent,
    InstanceExited,
    InstanceLost,
    InstancePlanned,
    InstanceReclaimed,
    InstanceStopping,
)
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.instance.table import InstanceTable
from aegis_tui.domain.lock.ended import EndedLocks
from aegis_tui.domain.lock.events import LockAcquired, LockBroken, LockEvent, LockExpired, LockReleased
from aegis_tui.domain.lock.fence import FenceTable
from aegis_tui.domain.lock.table import LockTable
from aegis_tui.domain.message.board import MessageBoard
from aegis_tui.domain.message.events import Broadcast, CodeWritten, MessageEvent
from aegis_tui.domain.message.exchange import ExchangeTable
from aegis_tui.domain.model import EventData, Key
from aegis_tui.domain.registry import collected, each_of
from aegis_tui.domain.run.events import DesignAgreed, RunEvent, RunFinished, RunStarted
from aegis_tui.domain.run.table import RunTable
from aegis_tui.domain.scope.events import PartitionChanged, ScopeEvent, ScopeGranted, ScopeRefused, ScopeRequested
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.domain.spec.events import (
    SpecCompleted,
    SpecDiffSubmitted,
    SpecEvent,
    SpecFailed,
    SpecTaskAssigned,
    SpecUpdated,
)
from aegis_tui.domain.spec.table import SpecTable
from aegis_tui.domain.upcast import lift_snapshot

SESSION_TTL_S = 30.0
"""How many seconds an instance may be silent before it counts as lost (HUB-8)."""

_ENDINGS: Final = frozenset(
    {AgentLeft, InstanceExited, InstanceReclaimed, RunStarted, SpecCompleted, SpecFailed, SpecUpdated}
)
"""Events after which the state may hold ended things that no view needs any more; see `Workspace._forget`."""

_FENCED: Final = frozenset({LockAcquired, CodeWritten})
"""Events by which writes are fenced. Looked up by type, as `isinstance` of a pydantic class is slow to say no."""


class Workspace:
    """Everything that the hub knows about one repository."""

    def __init__(self) -> None:
        self.seq = 0
        self.instances = InstanceTable()
        self.locks = LockTable()
        self.partitions = PartitionTable()
        self.specs = SpecTable()
        self.runs = RunTable()
        self.messages = MessageBoard()
        self.exchanges = ExchangeTable()
        self.fences = FenceTable()
        self.scope_requests: dict[str, ScopeRequested] = {}
        self.scope_askers: dict[str, str] = {}
        self.scope_ended: dict[str, str] = {}
        self.scope_counts: dict[str, int] = {}
        self.acquired_at: dict[str, str] = {}
        self.ended_locks = EndedLocks()
        self.deadlines = Deadlines()

    def evolve(self, event: Event) -> frozenset[Key]:
        """Apply one event in place and return the keys of what changed. Never raises, reads no clock.

        Ended runs, specs and instances that no view needs any more are dropped on the way.
        """
        keys = self._apply(event)
        if type(event.data) in _ENDINGS:
            keys |= self._forget()
        return keys

    def _apply(self, event: Event) -> frozenset[Key]:
        self.seq = event.seq
        self._fence(event)
        return ROUTES[type(event.data)](self, event, event.data)

    def _on_instance(self, event: Event, data: InstanceEvent) -> frozenset[Key]:
        keys = self.instances.evolve(event.agent_id, data, event.timestamp)
        return keys | self._follow_instance(event.agent_id, data)

    def _on_spec(self, event: Event, data: SpecEvent) -> frozenset[Key]:
        keys = self.specs.evolve(data)
        if isinstance(data, SpecTaskAssigned | SpecDiffSubmitted):
            keys |= self.runs.hand(data)
        return keys

    def _on_message(self, event: Event, data: MessageEvent) -> frozenset[Key]:
        keys = self.messages.evolve(event.seq, event.agent_id, data, event.timestamp)
        return keys | self._exchange(event.agent_id, data)

    def _on_lock(self, event: Event, data: LockEvent) -> frozenset[Key]:
        if isinstance(data, LockAcquired):
            self.acquired_at[data.lock_id] = event.timestamp
        elif isinstance(data, (LockReleased, LockExpired, LockBroken)):
            self.acquired_at.pop(data.lock_id, None)
            self.ended_locks.note(self.locks.find(data.lock_id), event.seq)
        return self.locks.evolve(event.agent_id, data)

    def _forget(self) -> frozenset[Key]:
        """Drop ended runs, specs and instances that no view needs, to keep the state small; the log still has them.

        With an instance go the messages to it, its exchanges and its scope requests. Returns the keys of the instances
        that were dropped; empty if none was.
        """
        self.runs.forget_ended()
        self.specs.forget_ended(self.runs.by_id)
        gone = self.instances.forget_ended(self.runs.by_id)
        if not gone:
            return frozenset()
        agents = frozenset(gone)
        self.messages.forget(agents)
        self.exchanges.forget(agents)
        self.scope_ended = {name: asker for name, asker in self.scope_ended.items() if asker not in agents}
        for agent_id in gone:
            self.scope_counts.pop(agent_id, None)
        return frozenset(("instance", agent_id) for agent_id in gone)

    def _fence(self, event: Event) -> None:
        if type(event.data) not in _FENCED:
            return
        instance = self.instances.by_id.get(event.agent_id)
        if instance is None or instance.run is None:
            return
        if isinstance(event.data, LockAcquired):
            self.fences.grant(event.agent_id, event.data.token)
        elif isinstance(event.data, CodeWritten):
            self.fences.write(event.seq, event.agent_id, event.data)

    def _exchange(self, agent_id: str, data: MessageEvent) -> frozenset[Key]:
        match data:
            case Broadcast():
                return self.exchanges.evolve(agent_id, data.event, data.data)
            case CodeWritten():
                return self.exchanges.evolve(agent_id, data.type, data.model_dump(exclude_none=True))
            case _:
                return frozenset()

    def _on_run(self, event: Event, data: RunEvent) -> frozenset[Key]:
        keys = self.runs.evolve(event.agent_id, data)
        match data:
            case RunStarted():
                self.partitions = self.partitions.with_case(ignore_case=data.facts.ignore_case)
                self.runs.by_id[data.run].started_seq = self.seq
            case DesignAgreed():
                self.partitions.set_scope(shared=data.design.shared, joint=data.design.joint)
                keys |= {("partition", "scope")}
            case RunFinished():
                self.messages.clear_writes()
                self.fences.clear()
            case _:
                pass
        return keys

    def _follow_instance(self, agent_id: str, data: InstanceEvent) -> frozenset[Key]:
        match data:
            case InstancePlanned(partition=globs) | AgentJoined(partition=globs):
                if globs:
                    self.partitions.set(agent_id, globs)
            case AgentLeft() | InstanceExited() | InstanceLost() | InstanceStopping():
                self.partitions.remove(agent_id)
                for name in [name for name, asker in self.scope_askers.items() if asker == agent_id]:
                    self.scope_ended[name] = agent_id
                    self._close(name)
            case _:
                return frozenset()
        return frozenset({("partition", agent_id)})

    def _close(self, request: str) -> None:
        self.scope_requests.pop(request, None)
        self.scope_askers.pop(request, None)

    def _on_scope(self, event: Event, data: ScopeEvent) -> frozenset[Key]:
        agent_id = event.agent_id
        match data:
            case PartitionChanged():
                instance = self.instances.by_id.get(agent_id)
                if instance is not None and instance.is_alive:
                    self.partitions.set(agent_id, data.globs)
                    instance.partition = data.globs
            case ScopeRequested():
                self.scope_requests[data.request] = data
                self.scope_askers[data.request] = agent_id
                self.scope_counts[agent_id] = self.scope_counts.get(agent_id, 0) + 1
            case ScopeGranted():
                self._close(data.request)
                self._grant(data.to, data.path)
            case ScopeRefused():
                self._close(data.request)
            case _:
                assert_never(data)
        return frozenset({("partition", agent_id)})

    def _grant(self, agent_id: str, path: str) -> None:
        """Let a living instance write the path, and record it with its piece, whose next worker may too.

        For an ended or unknown instance do nothing.
        """
        instance = self.instances.by_id.get(agent_id)
        if instance is None or not instance.is_alive:
            return
        self.partitions.grant(agent_id, path)
        run = self.runs.by_id.get(instance.run or "")
        piece = run.pieces.get(instance.piece or "") if run else None
        if piece is not None and agent_id in piece.agents and path not in piece.granted:
            piece.granted = (*piece.granted, path)

    def get_instance(self, agent_id: str) -> Instance | None:
        """Return the instance with this full agent id; None when there is none."""
        return self.instances.by_id.get(agent_id)

    def dump(self) -> dict[str, Any]:
        """Return the whole state except the deadlines as JSON values."""
        return {
            "seq": self.seq,
            "instances": self.instances.dump(),
            "locks": self.locks.dump(),
            "partitions": self.partitions.dump(),
            "specs": self.specs.dump(),
            "past_specs": [[spec_id, status] for spec_id, status in self.specs.past.items()],
            "runs": self.runs.dump(),
            "past_runs": [[run, ok] for run, ok in self.runs.past.items()],
            "messages": self.messages.dump(),
            "exchanges": self.exchanges.dump(),
            "fences": self.fences.dump(),
            "acquired_at": dict(sorted(self.acquired_at.items())),
            "ended_locks": self.ended_locks.dump(),
            "scope_requests": {
                name: {"by": self.scope_askers[name], **data.model_dump(mode="json")}
                for name, data in self.scope_requests.items()
            },
            "scope_ended": dict(sorted(self.scope_ended.items())),
            "scope_counts": dict(sorted(self.scope_counts.items())),
        }

    @classmethod
    def load(cls, plain: dict[str, Any]) -> Workspace:
        """Return a new workspace from the result of `dump`; its deadlines are unset until `rearm`.

        Snapshots of earlier versions are converted, and ended things that no view needs are dropped from them.

        Raises:
            KeyError, TypeError, ValueError: `plain` is not a snapshot of any version.
            Refused: A text in it is not a glob.
        """
        try:
            return cls._load(lift_snapshot(plain))
        except AttributeError as error:
            raise TypeError(f"this is not a snapshot: {error}") from error

    @classmethod
    def _load(cls, plain: dict[str, Any]) -> Workspace:
        workspace = cls()
        workspace.seq = plain["seq"]
        workspace.instances = InstanceTable.load(plain["instances"])
        workspace.locks = LockTable.load(plain["locks"])
        workspace.partitions = PartitionTable.load(plain["partitions"])
        workspace.specs = SpecTable.load(plain["specs"], plain["past_specs"])
        workspace.runs = RunTable.load(plain["runs"], plain["past_runs"])
        workspace.messages = MessageBoard.load(plain["messages"])
        workspace.exchanges = ExchangeTable.load(plain["exchanges"])
        workspace.fences = FenceTable.load(plain["fences"])
        workspace.acquired_at = dict(plain["acquired_at"])
        workspace.scope_ended = dict(plain["scope_ended"])
        workspace.scope_counts = dict(plain["scope_counts"])
        workspace.ended_locks = EndedLocks.load(plain["ended_locks"])
        for name, fields in plain["scope_requests"].items():
            workspace.scope_askers[name] = fields["by"]
            asked = {field: value for field, value in fields.items() if field != "by"}
            workspace.scope_requests[name] = ScopeRequested.model_validate(asked)
        workspace._forget()
        return workspace


ROUTES: Final[Mapping[type[EventData], Callable[[Workspace, Event, Any], frozenset[Key]]]] = collected(
    each_of(InstanceEvent, Workspace._on_instance),
    each_of(LockEvent, Workspace._on_lock),
    each_of(MessageEvent, Workspace._on_message),
    each_of(RunEvent, Workspace._on_run),
    each_of(ScopeEvent, Workspace._on_scope),
    each_of(SpecEvent, Workspace._on_spec),
)
"""The method that applies each type of event, chosen by the union that the type is in."""


def state_hash(workspace: Workspace) -> str:
    """Return a SHA-256 digest, in hexadecimal, of the state without deadlines.

    A replay of the log must give the same one (PERF-3).
    """
    text = json.dumps(workspace.dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
