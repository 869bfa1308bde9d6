"""The workflow of runs as a service of the hub process; its modules are imported after the hub serves (PERF-3)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.instance.commands import InstanceAnswer
from aegis_tui.domain.run.commands import RunStart
from aegis_tui.hub.engine import Engine
from aegis_tui.sdk.discovery import WorkspacePaths

if TYPE_CHECKING:
    from aegis_tui.orchestrator.preflight import Preflight
    from aegis_tui.orchestrator.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Wired:
    """The parts of a workflow that the hub process uses."""

    workflow: Workflow
    """The loops that carry out a run; `WorkflowService.start` starts them."""
    preflight: Preflight
    sockets_dir: Path
    """The folder in which agents find the sockets of hub and gateway; removed when the hub ends."""
    answer: Callable[[InstanceAnswer], Awaitable[InstanceAnswer]]
    """Types an answer into a pane, and fills in what became of it."""


Wire = Callable[[Engine, WorkspacePaths], Awaitable[Wired]]
"""Creates the workflow of a workspace from its adapters."""


class WorkflowService:
    """The workflow of runs as a service of the hub process.

    Args:
        load: Imports the workflow's modules; called in a thread, so that the hub answers meanwhile.
        compile_program: Compiles the program's modules for the agents, which cannot do so; runs in the background.
    """

    def __init__(self, load: Callable[[], Wire], compile_program: Callable[[], Awaitable[None]]) -> None:
        self._load, self._compile = load, compile_program
        self._wired: Wired | None = None
        self._ready = asyncio.Event()
        self._compiling: asyncio.Future[None] | None = None

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Load and start the workflow, which continues an open run from the log; from then on runs can be started.

        Raises:
            Exception: What loading or starting it raises; the service is then not started.
        """
        wire = await asyncio.to_thread(self._load)
        self._compiling = asyncio.ensure_future(self._compile())
        self._wired = await wire(engine, paths)
        await self._wired.workflow.start()
        self._ready.set()

    async def stop(self) -> None:
        """Stop the workflow's loops; remove the agents' socket and its empty folder. Instances of an open run go on.

        Without such instances, all panes are closed too.

        Raises:
            OSError: The socket cannot be removed.
            StoreError: The state cannot be read.
        """
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
        """Return an awaitable that completes a command that needs the machine; None for any other.

        A `run:start` of the person or the hub gets the preflight's facts; `run` and `facts` are replaced. The answer of
        a person to a question on a screen is typed. Both wait until the workflow has started.

        Raises:
            AegisError: When awaited: the preflight refuses the run, or the answer is not typed.
        """
        if actor.kind == "person" and isinstance(command, InstanceAnswer):
            return self._answer(command)
        if actor.kind == "instance" or not isinstance(command, RunStart):
            return None
        return self._complete(command)

    async def _answer(self, command: InstanceAnswer) -> InstanceAnswer:
        await self._ready.wait()
        return command if self._wired is None else await self._wired.answer(command)

    async def _complete(self, command: RunStart) -> RunStart:
        await self._ready.wait()
        if self._wired is None:
            return command
        return await self._wired.preflight.complete(command.model_copy(update={"run": None, "facts": None}))
