"""The specs of a workspace, changed only by events."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any, assert_never

from aegis_tui.domain.model import Key
from aegis_tui.domain.spec.events import (
    SpecCompleted,
    SpecCreated,
    SpecDiffSubmitted,
    SpecEvent,
    SpecFailed,
    SpecInProgress,
    SpecTaskAssigned,
    SpecTaskCompleted,
    SpecUpdated,
    TaskUpdated,
)
from aegis_tui.domain.spec.model import ENDED, SpecState

KEPT_ENDED = 64
"""How many ended specs outside runs stay in the state: the newest."""


KEPT_PAST = 10_000
"""Of how many removed specs the state keeps the id and the final status: the newest."""


class SpecTable:
    """The specs of a workspace by id, open or recently ended; of earlier ones only the final status."""

    def __init__(self) -> None:
        self.by_id: dict[str, SpecState] = {}
        self.past: dict[str, str] = {}
        """Final status by id of the newest `KEPT_PAST` removed specs, oldest first."""

        self.at_work: set[str] = set()
        """The ids of specs that a run was started for and that have not ended."""

    def is_known(self, spec_id: str) -> bool:
        """Return whether a spec with that id exists or is one of the newest `KEPT_PAST` that were removed."""
        return spec_id in self.by_id or spec_id in self.past

    def forget_ended(self, kept_runs: Container[str]) -> None:
        """Remove the specs of runs that are not in `kept_runs`, and outside runs all but the newest ended ones.

        Of those, `KEPT_ENDED` stay. The final status of the newest `KEPT_PAST` removed ones is kept in `past`.
        """
        gone = [spec for spec in self.by_id.values() if spec.run is not None and spec.run not in kept_runs]
        ended = [spec for spec in self.by_id.values() if spec.run is None and spec.status in ENDED]
        gone += ended[: max(0, len(ended) - KEPT_ENDED)]
        for spec in gone:
            del self.by_id[spec.spec_id]
            self.at_work.discard(spec.spec_id)
            self.past[spec.spec_id] = spec.status
        while len(self.past) > KEPT_PAST:
            del self.past[next(iter(self.past))]

    def evolve(self, data: SpecEvent) -> frozenset[Key]:
        """Apply one event in place and return the key of the spec that changed; its revision is one higher then.

        Never raises: an event about an unknown spec changes nothing and returns an empty set, unless it adds the spec.
        """
        if isinstance(data, SpecCreated):
            self.by_id[data.specId] = SpecState(spec_id=data.specId, **data.model_dump(exclude={"type", "specId"}))
            return frozenset({("spec", data.specId)})
        spec_id = data.spec_id if isinstance(data, TaskUpdated) else data.specId
        if (spec := self.by_id.get(spec_id)) is None:
            return frozenset()
        spec.rev += 1
        _advance(spec, data)
        if spec.by_run is not None and spec.status not in ENDED:
            self.at_work.add(spec_id)
        else:
            self.at_work.discard(spec_id)
        return frozenset({("spec", spec_id)})

    def ready(self) -> list[SpecState]:
        """Return the approved specs, of runs too, whose dependencies are completed, highest priority first (SPEC-5)."""
        free = (spec for spec in self.by_id.values() if self.is_ready(spec))
        return sorted(free, key=lambda spec: (-spec.priority, spec.spec_id))

    def startable(self) -> list[SpecState]:
        """Return the ready specs with a file for which no run was started yet, highest priority first."""
        return [spec for spec in self.ready() if spec.has_file and spec.by_run is None]

    def unseen(self, run: str) -> list[SpecState]:
        """Return the specs that a run completed and of which the person has not said yet that they know it."""
        return [spec for spec in self.by_id.values() if spec.by_run == run and spec.waits_to_be_seen]

    def is_ready(self, spec: SpecState, *, together: Container[str] = ()) -> bool:
        """Return whether the spec is approved and its direct dependencies are completed.

        An unknown dependency is not. Those in `together` need not be completed.
        """
        needs = (name for name in spec.dependencies if name not in together)
        return spec.status == "approved" and all(map(self.is_completed, needs))

    def is_completed(self, spec_id: str) -> bool:
        """Return whether the spec is completed; False if there is none of that id."""
        spec = self.by_id.get(spec_id)
        return (spec.status if spec else self.past.get(spec_id)) == "completed"

    def dump(self) -> list[dict[str, Any]]:
        """Return the specs, without `past`, as plain values for a snapshot."""
        return [spec.model_dump(mode="json") for spec in self.by_id.values()]

    @classmethod
    def load(cls, plain: list[dict[str, Any]], past: Iterable[tuple[str, str]] = ()) -> SpecTable:
        """Return a new table with what `dump` returned, and with the items of its `past`.

        Raises:
            ValueError: A spec is not valid.
        """
        table = cls()
        table.past = dict(past)
        for item in plain:
            spec = SpecState.model_validate(item)
            table.by_id[spec.spec_id] = spec
            if spec.by_run is not None and spec.status not in ENDED:
                table.at_work.add(spec.spec_id)
        return table


def _advance(spec: SpecState, data: SpecEvent) -> None:
    match data:
        case SpecTaskAssigned():
            spec.agent, spec.status = data.agent, "planning"
        case SpecInProgress():
            spec.status = "in-progress"
        case SpecDiffSubmitted():
            spec.status = "diff-submitted"
        case SpecUpdated():
            _update(spec, data)
        case SpecTaskCompleted():
            spec.tasks[data.taskId] = "completed"
        case SpecCompleted():
            spec.status, spec.progress = "completed", 1.0
            spec.oid, spec.branch = data.oid, data.branch
        case SpecFailed():
            spec.status, spec.error, spec.waits = "failed", data.reason, ""
        case TaskUpdated():
            spec.tasks[data.task_id], spec.progress = data.status, data.progress
        case SpecCreated():
            return
        case _:
            assert_never(data)


def _update(spec: SpecState, data: SpecUpdated) -> None:
    spec.waits = "" if data.status != "approved" else spec.waits if data.waits is None else data.waits
    spec.status = data.status
    spec.is_seen = spec.is_seen or data.is_seen
    if data.by_run is not None:
        spec.by_run, spec.pieces = data.by_run, data.pieces
    if data.content is not None:
        spec.is_gone = not data.content.digest
    if data.content is not None and data.content.digest:
        spec.path = data.path
        spec.digest, spec.title = data.content.digest, data.content.title
        spec.priority, spec.dependencies = data.content.priority, data.content.dependencies
    if data.status in ("draft", "review", "approved"):
        spec.by_run, spec.error, spec.is_seen = None, "", False
