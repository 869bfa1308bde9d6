"""Reads the spec files of the person's checkout, starts runs for approved ones, and writes back how far they are.

Nothing here remembers what is still to do: each turn compares files, log and runs, and takes the steps that are
missing. So a ping that is lost, doubled or late changes nothing but the time (SPEC-3, SPEC-4, SPEC-10).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from aegis_tui.application.spec_folder import SpecFolder
from aegis_tui.application.spec_scan import SeenSpec, SpecScan
from aegis_tui.application.spec_status import status_change, status_edits
from aegis_tui.application.yaml_edit import Edit
from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import THE_HUB, Actor
from aegis_tui.domain.inert import inert
from aegis_tui.domain.spec.commands import SpecObserve, SpecRescan
from aegis_tui.domain.spec.document import PRIORITIES, Spec
from aegis_tui.domain.spec.model import SpecState, SpecStatus
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, UsageError
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.spec_runs import Prepare, SpecRuns, StartOptions
from aegis_tui.sdk.discovery import WorkspacePaths

LOOK_S: Final = 1.0
"""How often the folder is looked at, in seconds."""

WHOLE_S: Final = 30.0
"""How often every file is read and compared by its checksum, in seconds."""

_RETRY_S: Final = 30.0
_BURST_S: Final = 0.05
_HANDED_IN: Final[frozenset[SpecStatus]] = frozenset({"diff-submitted", "completed"})
_AUTHOR: Final = "aegis-tui"
_log = logging.getLogger(__name__)

ReadPatches = Callable[[Sequence[tuple[str, str]]], Awaitable[bytes]]
"""Returns the patches between pairs of commits, one after the other; raises `AegisError`."""


class _Edited(Exception):
    """The person changed the file after it was looked at."""


class SpecService:
    """A `HubService`: watches `.agents/specs`, and works on what is approved there.

    Args:
        folder: The specs of the person's checkout.
        prepare: Completes a `run:start`.
        find_options: The options of runs.
        read_patches: Makes a patch of the commits that were handed in.
        now: The present time, with its time zone.
    """

    def __init__(
        self,
        folder: SpecFolder,
        prepare: Prepare,
        find_options: StartOptions,
        read_patches: ReadPatches,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._folder, self._scan = folder, SpecScan(folder)
        self._read_patches, self._now = read_patches, now
        self._engine: Engine | None = None
        self._turn_lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._refused: dict[str, str] = {}
        self._waits: dict[str, str] = {}
        self._runs = SpecRuns(folder, self._scan, prepare, find_options)
        self._logged: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Begin to look at the folder, until `stop`."""
        self._engine = engine
        self._runs.settle()
        self._tasks = [
            asyncio.create_task(self._follow(engine), name="hub-specs-state"),
            asyncio.create_task(self._turn_forever(engine), name="hub-specs"),
        ]

    async def stop(self) -> None:
        """Stop looking; a run that was started goes on like any other."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def prepare(self, command: AnyCommand, actor: Actor) -> Awaitable[AnyCommand] | None:
        """Return an awaitable of a person's `spec:rescan` with what was found; None for any other command."""
        return self._rescan(command) if isinstance(command, SpecRescan) and actor.kind == "person" else None

    async def _rescan(self, command: SpecRescan) -> SpecRescan:
        if self._engine is None:
            return command
        wanted = command.spec_id
        async with self._turn_lock:  # until the end: a look in a thread changes what was seen
            self._runs.retry()
            await self._turn(self._engine, whole=True, again=True)
            if wanted is not None and self._scan.find(wanted) is None:
                raise UsageError(f"there is no file of a spec {wanted}", "aegis-tui spec list names them")
            states = await self._engine.read(_of_files)
            missing = {item.spec_id: item.waits for item in states if item.waits}
            problems = {**missing, **self._waits, **self._scan.problems}
        specs = [
            {"spec_id": item.spec_id, "status": item.status, "title": item.title, "run": item.by_run}
            for item in states
            if wanted in (None, item.spec_id)
        ]
        rows = [
            {"spec": inert(name), "reason": inert(text)}
            for name, text in sorted(problems.items())
            if wanted in (None, name)
        ]
        return command.model_copy(update={"answer": {"specs": specs, "problems": rows}})

    async def _follow(self, engine: Engine) -> None:
        async for keys in engine.changes():
            if not keys or any(kind in ("spec", "run", "workspace") for kind, _ in keys):
                self._wake.set()

    async def _turn_forever(self, engine: Engine) -> None:
        whole_at = 0.0
        while True:
            whole = time.monotonic() >= whole_at
            if whole:
                whole_at = time.monotonic() + WHOLE_S
            try:
                async with self._turn_lock:
                    await self._turn(engine, whole=whole)
                self._logged.pop("", None)
            except (AegisError, OSError) as error:
                self._warn("specs were not read", "", str(error))
            except Exception:
                _log.exception("reading or updating the specs failed unexpectedly")
                await asyncio.sleep(_RETRY_S)  # then the other specs go on
            try:
                async with asyncio.timeout(LOOK_S):  # `wait_for` can lose a cancellation, and `stop` would never return
                    await self._wake.wait()
            except TimeoutError:
                continue
            self._wake.clear()
            await asyncio.sleep(_BURST_S)

    async def _turn(self, engine: Engine, *, whole: bool, again: bool = False) -> None:
        """Take every step that is missing.

        Args:
            engine: The hub's engine.
            whole: Read every file.
            again: Observe those that have not changed too, and files that could not be registered.
        """
        changed = await asyncio.to_thread(self._scan.look, whole=whole)
        known = [seen for seen in self._scan.known() if again or seen.spec_id in self._waits]
        for seen in [*changed, *(seen for seen in known if seen not in changed)]:
            await self._observe(engine, seen)
        states = {item.spec_id: item for item in await engine.read(_of_files)}
        for state in states.values():
            await self._write_back(engine, state)
        for spec_id in await engine.read(self._seen_by_person):
            await self._archive(spec_id)
        await self._runs.step(engine)

    async def _observe(self, engine: Engine, seen: SeenSpec) -> None:
        if not seen.digest and not await engine.read(lambda workspace: seen.spec_id in workspace.specs.by_id):
            self._waits.pop(seen.spec_id, None)
            return
        if seen.spec is None and seen.digest:
            self._waits.pop(seen.spec_id, None)  # the scan knows what is wrong, and looks again once the file changes
            _log.warning("a file is not a valid spec", extra={"aegis_path": seen.path, "aegis_error": seen.problem})
            return
        fields: dict[str, Any] = {}
        if seen.spec is not None:
            spec = seen.spec
            fields = {"status": spec.status, "title": spec.metadata.title, "dependencies": spec.dependencies}
            fields["priority"] = PRIORITIES[spec.priority]
        command = SpecObserve(spec_id=seen.spec_id, path=seen.path, digest=seen.digest, **fields)
        try:
            reply = await engine.submit(command, THE_HUB)
        except AegisError as error:
            if self._waits.get(seen.spec_id) != error.message:
                _log.warning("a spec was not registered", extra={"aegis_path": seen.path, "aegis_error": error.message})
            self._waits[seen.spec_id] = error.message
            return
        self._waits.pop(seen.spec_id, None)
        if reply["refused"]:
            self._refused[seen.spec_id] = str(reply["refused"])

    async def _put_diff(self, engine: Engine, state: SpecState) -> str:
        """Write what was handed in for a spec, and return where; empty if that is not known or cannot be written."""
        if not (ranges := await engine.read(partial(_ranges, state))):
            return ""
        try:
            patch = await self._read_patches(ranges)
            return await asyncio.to_thread(self._folder.put_diff, state.spec_id, patch)
        except (AegisError, OSError) as error:
            self._warn("the work on a spec was not written to a file", state.path, str(error))
            return ""

    async def _write_back(self, engine: Engine, state: SpecState) -> None:
        seen = self._scan.find(state.spec_id)
        if seen is None or seen.spec is None or seen.spec.status == state.status:
            self._refused.pop(state.spec_id, None)
            self._logged.pop(state.path, None)
            return
        written, refused = seen.spec, self._refused.pop(state.spec_id, "")
        diff_path = await self._put_diff(engine, state) if state.status in _HANDED_IN else ""

        def plan(spec: Spec) -> tuple[Sequence[Edit], str]:
            if spec.status != written.status:
                raise _Edited
            return status_edits(spec, state, diff_path=diff_path), status_change(spec, state, refused)

        try:
            change = self._folder.change
            self._scan.accept(
                state.spec_id, await asyncio.to_thread(change, state.spec_id, plan, author=_AUTHOR, now=self._now())
            )
        except _Edited:
            self._wake.set()
        except (AegisError, OSError) as error:
            self._waits[state.spec_id] = f"its file cannot be written: {error}"
            self._warn("a spec was not written", state.path, str(error))

    def _seen_by_person(self, workspace: Workspace) -> list[str]:
        """Return the completed specs with a file of which the person knows, or that the state no longer has."""
        specs = workspace.specs
        done = [item.spec_id for item in self._scan.known() if item.spec and item.spec.status == "completed"]
        return [name for name in done if (spec.is_seen if (spec := specs.by_id.get(name)) else name in specs.past)]

    async def _archive(self, spec_id: str) -> None:
        try:
            await asyncio.to_thread(self._folder.archive, spec_id, self._now())
            self._wake.set()
        except (AegisError, OSError) as error:
            self._waits[spec_id] = f"its file cannot be moved to the archive: {error}"
            self._warn("a spec was not moved to the archive", spec_id, str(error))

    def _warn(self, text: str, path: str, error: str) -> None:
        """Log a problem once while it lasts, not again at each turn that meets it; `path` is empty for all files."""
        if self._logged.get(path) != error:
            self._logged[path] = error
            _log.warning(text, extra={"aegis_path": path, "aegis_error": error})


def _of_files(workspace: Workspace) -> list[SpecState]:
    return [item.model_copy() for item in workspace.specs.by_id.values() if item.has_file]


def _ranges(state: SpecState, workspace: Workspace) -> list[tuple[str, str]]:
    """Return base and head of each submission for a spec, in the order of the design; empty if its run is not kept."""
    run = workspace.runs.by_id.get(state.by_run or "")
    pieces = run.pieces.values() if run is not None else ()
    mine = [piece for piece in pieces if not state.pieces or piece.name in state.pieces]
    return [(piece.base_oid, piece.head_oid) for piece in mine if piece.base_oid and piece.head_oid]
