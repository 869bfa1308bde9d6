"""Starts runs for approved specs, and cancels the run of a spec that the person has cancelled (SPEC-5, SPEC-6)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

from aegis_tui.application.spec_batch import SpecBatch, batch_of
from aegis_tui.application.spec_folder import SpecFolder
from aegis_tui.application.spec_scan import SpecScan
from aegis_tui.application.spec_text import load_spec
from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import THE_HUB, Actor
from aegis_tui.domain.run.commands import RunCancel, RunStart
from aegis_tui.domain.spec.commands import SpecFail, SpecWait
from aegis_tui.domain.spec.document import Spec
from aegis_tui.domain.spec.observe import wait_reason
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, Conflict, Refused, Unavailable
from aegis_tui.hub.engine import Engine

SETTLE_S: Final = 3.0
"""How long after the start of the hub, and after a run that a person started, no run is started, in seconds.

`aegis-tui run` uses the hub then: it starts its run first, and stops the hub afterwards if it has started it.
"""

_RETRY_S: Final = 30.0
_log = logging.getLogger(__name__)

Prepare = Callable[[AnyCommand, Actor], Awaitable[AnyCommand] | None]
"""Completes a `run:start` with the facts of this machine."""


class StartOptions(Protocol):
    """Reads the person's settings for runs that no person types in; blocks."""

    def __call__(self) -> dict[str, Any] | None:
        """Return the options of such a run; None if the settings allow none.

        Raises:
            UsageError: A setting is wrong.
        """
        ...


class SpecRuns:
    """Compares the approved specs with the runs, and takes the steps that are missing.

    Args:
        folder: The specs of the person's checkout.
        scan: What their files said when they were last read.
        prepare: Completes a `run:start`.
        find_options: The options of runs.
    """

    def __init__(self, folder: SpecFolder, scan: SpecScan, prepare: Prepare, find_options: StartOptions) -> None:
        self._folder, self._scan = folder, scan
        self._prepare, self._find_options = prepare, find_options
        self._missing: _Missing | None = None
        self._quiet_until = self._retry_at = 0.0

    def settle(self) -> None:
        """Start no run for the next `SETTLE_S` seconds."""
        self._quiet_until = time.monotonic() + SETTLE_S

    def retry(self) -> None:
        """Try at the next step to start what could not be started before."""
        self._retry_at = 0.0

    async def step(self, engine: Engine) -> None:
        """Cancel and start what has to be, and record what approved specs wait for."""
        run = await engine.read(_cancelled_run)
        if run is not None:
            await engine.submit(RunCancel(run=run, reason="its spec was cancelled"), THE_HUB)
        await self._begin(engine)
        if self._missing is not None:
            for spec_id, reason in await engine.read(self._missing.news):
                await engine.submit(SpecWait(spec_id=spec_id, reason=reason), THE_HUB)

    async def _begin(self, engine: Engine) -> None:
        """Start a run for approved specs, if none is open and the settings allow it."""
        is_open, is_of_a_spec, ready = await engine.read(_what_waits)
        if is_open and self._missing is not None:
            self._missing.for_all = ""
        if is_open and not is_of_a_spec:
            self.settle()
        if is_open or not ready or time.monotonic() < max(self._quiet_until, self._retry_at):
            return
        missing = self._missing = _Missing()
        try:
            options = await asyncio.to_thread(self._find_options)
        except AegisError as error:
            missing.for_all, options = error.message, None
        else:
            missing.for_all = "the setting work_on_specs is false" if options is None else ""
        if options is None:
            return
        specs = await self._filled_in(ready, missing)
        completed = frozenset(await engine.read(lambda state: _completed(state, specs)))
        while specs:
            batch = await asyncio.to_thread(_batch_or_error, specs, completed)
            if isinstance(batch, SpecBatch) and await self._start_run(engine, batch, options, missing):
                return
            if isinstance(batch, AegisError):
                await engine.submit(SpecFail(spec_id=specs[0].id, reason=batch.message), THE_HUB)
            specs = [spec for spec in specs[1:] if all(name in completed for name in spec.dependencies)]

    async def _filled_in(self, ready: Sequence[str], missing: _Missing) -> list[Spec]:
        """Return the specs that can be started, and note what the others still have of their templates."""
        specs = []
        for spec_id in ready:
            seen = self._scan.find(spec_id)
            if seen is None or seen.spec is None:
                continue
            if problem := await asyncio.to_thread(self._find_blanks, spec_id):
                missing.by_spec[spec_id] = problem
            else:
                specs.append(seen.spec)
        return specs

    async def _start_run(self, engine: Engine, batch: SpecBatch, options: dict[str, Any], missing: _Missing) -> bool:
        """Return whether no other spec can be started now: a run was started, or something is missing for all.

        If several specs cannot be started together, the first of them is tried alone.
        """
        names = list(batch.pieces)
        try:
            await self._submit(engine, batch, options)
        except (Unavailable, Conflict) as error:
            missing.for_all = error.message
            self._retry_at = time.monotonic() + _RETRY_S
            return True
        except AegisError as error:
            if isinstance(error, Refused) and error.code == "run.active":
                return True
            if len(names) > 1 and (seen := self._scan.find(names[0])) is not None and seen.spec is not None:
                alone = await asyncio.to_thread(batch_of, [seen.spec], names.__contains__)
                return await self._start_run(engine, alone, options, missing)
            reason = f"{error.message}; {error.hint}".rstrip("; ")
            await engine.submit(SpecFail(spec_id=names[0], reason=reason), THE_HUB)
            return False
        _log.info("a run was started for specs", extra={"aegis_spec": names[0], "aegis_count": len(names)})
        return True

    async def _submit(self, engine: Engine, batch: SpecBatch, options: dict[str, Any]) -> None:
        names = list(batch.pieces)
        if len(names) > 1:  # what fails must not keep the others from their result
            options = {**options, "partial": True}
        if batch.mode:
            options = {**options, "mode": batch.mode}
        command = RunStart(
            goal=batch.design.goal,
            design=batch.design.model_dump(mode="json", exclude_unset=True),
            options=options,
            spec=names[0] if len(names) == 1 else None,
            specs=dict(batch.pieces) if len(names) > 1 else {},
        )
        filling = self._prepare(command, THE_HUB)
        await engine.submit(command if filling is None else await filling, THE_HUB)

    def _find_blanks(self, spec_id: str) -> str | None:
        """Return why a spec cannot be started although it is approved: it has blanks, or cannot be read; else None."""
        try:
            self._folder.check_edited(load_spec(self._folder.find(spec_id)))
        except AegisError as error:
            return error.message
        return None


class _Missing:
    """What ready specs wait for, beside their turn."""

    def __init__(self) -> None:
        self.for_all = ""
        """What none can be started without; empty if nothing is missing for all."""
        self.by_spec: dict[str, str] = {}

    def news(self, workspace: Workspace) -> list[tuple[str, str]]:
        """Return the ready specs for which another reason is recorded, each with the reason as it is now."""
        ready = [
            (item, wait_reason(self.by_spec.get(item.spec_id, self.for_all))) for item in workspace.specs.startable()
        ]
        return [(item.spec_id, reason) for item, reason in ready if reason != item.waits]


def _batch_or_error(specs: Sequence[Spec], completed: frozenset[str]) -> SpecBatch | AegisError:
    try:
        return batch_of(specs, completed.__contains__)
    except AegisError as error:
        return error


def _what_waits(workspace: Workspace) -> tuple[bool, bool, list[str]]:
    """Return whether a run has not ended, whether it is that of a spec, and the ids of specs that can be started.

    These are followed by approved ones that wait for others; empty if none can be started.
    """
    run = workspace.runs.current()
    mine = run is not None and any(item.by_run == run.run for item in workspace.specs.by_id.values())
    ready = [item.spec_id for item in workspace.specs.startable()]
    return run is not None, mine, [*ready, *_later(workspace, frozenset(ready))] if ready else []


def _later(workspace: Workspace, ready: frozenset[str]) -> list[str]:
    """Return the approved specs with a file that wait for others, highest priority first."""
    waiting = [
        item
        for item in workspace.specs.by_id.values()
        if item.status == "approved" and item.has_file and item.by_run is None and item.spec_id not in ready
    ]
    return [item.spec_id for item in sorted(waiting, key=lambda item: (-item.priority, item.spec_id))]


def _completed(workspace: Workspace, specs: Sequence[Spec]) -> set[str]:
    names = {name for spec in specs for name in spec.dependencies}
    return {name for name in names if workspace.specs.is_completed(name)}


def _cancelled_run(workspace: Workspace) -> str | None:
    run = workspace.runs.current()
    if run is None or not run.is_open:
        return None
    is_cancelled = any(item.by_run == run.run and item.status == "cancelled" for item in workspace.specs.by_id.values())
    return run.run if is_cancelled else None
