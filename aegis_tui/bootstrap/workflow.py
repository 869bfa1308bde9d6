"""The workflow as a service of the hub process. What it is made of is imported when the hub serves (PERF-3)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aegis_tui.adapters.bytecode import compile_package
from aegis_tui.adapters.llm.key import KEY_VARIABLE, ModelKey
from aegis_tui.config import Limits
from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.run.commands import RunStart
from aegis_tui.hub.engine import Engine
from aegis_tui.sdk.discovery import WorkspacePaths

if TYPE_CHECKING:
    from aegis_tui.bootstrap.wiring import Wired, Wiring


class WorkflowService:
    """The workflow as a service of the hub process."""

    def __init__(self, root: Path, environ: Mapping[str, str], limits: Limits) -> None:
        self._root, self._key, self._limits = root, ModelKey(environ), limits
        self._environ = {name: value for name, value in environ.items() if name != KEY_VARIABLE}
        self._wired: Wired | None = None
        self._ready = asyncio.Event()
        self._compiling: asyncio.Task[None] | None = None

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Go on with what the log says is open."""
        wiring = await asyncio.to_thread(_load_wiring)
        self._compiling = asyncio.create_task(compile_package(), name="hub-compile")
        self._wired = await wiring(self._root, self._environ, self._key, self._limits).wire(engine, paths)
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


def _load_wiring() -> type[Wiring]:
    """Import it; in a thread, so that the hub answers meanwhile."""
    from aegis_tui.bootstrap.wiring import Wiring

    return Wiring
