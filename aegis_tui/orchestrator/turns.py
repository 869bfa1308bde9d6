"""Decides which effects start now and which wait, so that the machine's cores are not shared by too many (PERF-18).

Programs that start together each get a part of a core, and all of them are late. One after the other, the first is at
work while the next one starts, and the last is no later.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection

from aegis_tui.domain.effect import (
    CheckComposition,
    ComposePiece,
    Effect,
    InspectPiece,
    LaunchInstance,
    PrepareInstance,
    ReclaimInstance,
    RunQa,
    StopInstance,
    needed,
)
from aegis_tui.domain.instance.model import Phase
from aegis_tui.domain.role import traits_of
from aegis_tui.domain.workspace import Workspace

START_S = 5.0
"""How long a program that does not join the hub keeps others from starting, in seconds."""

PATIENCE_S = 1.0
"""How long the start or the end of an instance waits for more urgent effects, in seconds."""

RECLAIM_S = 4.0
"""How long an instance that has ended waits to be removed while others wait for something, in seconds."""

_STARTS = (PrepareInstance, LaunchInstance)
_CHECKS = (InspectPiece, ComposePiece, CheckComposition)
_URGENT = (*_STARTS, *_CHECKS)
_CLEAN_UP = (StopInstance, ReclaimInstance)


def look(workspace: Workspace) -> tuple[list[Effect], set[str], bool]:
    """Return the arguments `wanted`, `unjoined` and `is_judged` of `Turns.choose`."""
    alive = list(workspace.instances.alive())
    unjoined = {item.agent_id for item in alive if item.phase is not Phase.JOINED}
    is_judged = any(traits_of(item.role).is_judge and item.agent_id not in unjoined for item in alive)
    return needed(workspace), unjoined, is_judged


class Turns:
    """Remembers what has started.

    Args:
        most: How many instances start at once; None for the number of cores that this process may use.
        now: Returns a monotonic time in seconds.
    """

    def __init__(self, most: int | None = None, *, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else most or 2
        self._now = now
        self._started_at: dict[str, float] = {}
        self._waits_since: dict[Effect, float] = {}
        self._has_urgent = False

    def choose(
        self,
        wanted: Collection[Effect],
        running: Collection[Effect],
        unjoined: Collection[str],
        *,
        is_judged: bool = False,
    ) -> list[Effect]:
        """Return the wanted effects that start now, clean-up last; the instances in them count as starting from now on.

        An effect that starts an instance waits while `most` others are starting (see the constructor), which is from
        their first effect until they join, `START_S` (5 s) at most. A merge or check of a piece, which others wait for,
        counts as one of them, `PATIENCE_S` (1 s) at most. Clean-up, which stops or removes an instance, waits while an
        instance is starting, a merge or check is under way, or a piece is being judged, as its merge is next,
        `PATIENCE_S` at most; removing it, whose work has to be
        saved before, `RECLAIM_S` (4 s) at most, also while QA runs. All else starts at once.

        Args:
            wanted: The effects that the state requires; the result keeps their order.
            running: Those that have started and not ended.
            unjoined: The agent ids of all instances that have not joined the hub yet and have not ended.
            is_judged: Whether an instance that judges a piece is at work.
        """
        now = self._now()
        self._started_at = {name: at for name, at in self._started_at.items() if name in unjoined}
        self._waits_since = {effect: at for effect, at in self._waits_since.items() if effect in wanted}
        fresh = [effect for effect in wanted if effect not in running]
        checks = sum(isinstance(effect, _CHECKS) for effect in (*running, *fresh))
        chosen: list[Effect] = [
            effect for effect in fresh if not isinstance(effect, _CLEAN_UP) and self._may_start(effect, now, checks)
        ]
        self._has_urgent = any(isinstance(effect, _URGENT) for effect in (*running, *fresh))
        has_qa = any(isinstance(effect, RunQa) for effect in (*running, *fresh))
        for effect in fresh:
            waited_s = now - self._waits_since.setdefault(effect, now)
            if isinstance(effect, ReclaimInstance) and (waited_s >= RECLAIM_S or not (self.is_busy or has_qa)):
                chosen.append(effect)
            if isinstance(effect, StopInstance) and (waited_s >= PATIENCE_S or not (self.is_busy or is_judged)):
                chosen.append(effect)
        return chosen

    @property
    def is_busy(self) -> bool:
        """Whether others wait for what is done now: starts of instances, merges or checks of pieces.

        An instance that takes longer than `START_S` (5 s) to join is not counted.
        """
        return self._has_urgent or self._busy(self._now()) > 0

    def _busy(self, now: float) -> int:
        return sum(now - at < START_S for at in self._started_at.values())

    def _may_start(self, effect: Effect, now: float, checks: int) -> bool:
        if not isinstance(effect, _STARTS):
            return True
        if effect.agent_id not in self._started_at:
            is_patient = now - self._waits_since.setdefault(effect, now) < PATIENCE_S
            if self._busy(now) + (checks if is_patient else 0) >= self._most:
                return False
            self._started_at[effect.agent_id] = now
        return True
