"""The workflow as a service of the hub process. What it is made of is imported when the hub serves (PERF-3)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.run.commands import RunStart
from aegis_tui.hub.engine import Engine
from aegis_tui.sdk.discovery import WorkspacePaths

if TYPE_CHECKING:
    from aegis_tui.orchestrator.preflight import Preflight
    from aegis_tui.orchestrator.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Wired:
    """What the hub's process keeps of a workflow and its adapters."""

    workflow: Workflow
    """The loops of a run; `WorkflowService.start` starts them."""
    preflight: Preflight
    sockets_dir: Path
    """Where agents find the hub's socket and the gateway's; removed when the hub ends."""


Wire = Callable[[Engine, WorkspacePaths], Awaitable[Wired]]
"""Makes the workflow of a workspace out of its adapters."""


class WorkflowService:
    """The workflow as a service of the hub process.

    Args:
        load: Imports what the workflow is made of; called in a thread, so that the hub answers meanwhile.
        compile_program: Compiles the program for the agents, which cannot; runs beside everything else.
    """

    def __init__(self, load: Callable[[], Wire], compile_program: Callable[[], Awaitable[None]]) -> None:
        self._load, self._compile = load, compile_program
        self._wired: Wired | None = None
        self._ready = asyncio.Event()
        self._compiling: asyncio.Future[None] | None = None

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Go on with what the log says is open."""
        wire = await asyncio.to_thread(self._load)
        self._compiling = asyncio.ensure_future(self._compile())
        self._wired = await wire(engine, paths)
        await self._wired.workflow.start()
        self._ready.set()

    async def stop(self) -> None:
        """End the loops; what runs in panes goes on."""
        if self._compiling is not None:
            self._compiling.cancel()
            await asyncio.gather(self._compiling, return_exceptions=True)
        if self._wired is None:
            return
        await self._wired.workflow.stop()
        (self._wired.sockets_dir / "hub.sock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._wired.sockets_dir.rmdir()

    def prepare(self, command: AnyCommand, actor: Actor) -> Awaitable[AnyCommand] | None:
        """Fill in a `run:start` by looking at the machine."""
        if actor.kind == "instance" or not isinstance(command, RunStart):
            return None
        return self._complete(command)

    async def _complete(self, command: RunStart) -> RunStart:
        await self._ready.wait()
        if self._wired is None:
            return command
        return await self._wired.preflight.complete(command.model_copy(update={"run": None, "facts": None}))
