"""Connects the hub to its services. Their adapters are imported only once the hub serves requests (PERF-3)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aegis_tui.adapters.agents.search_path import search_path
from aegis_tui.adapters.bytecode import compile_package
from aegis_tui.adapters.code_map.child import ChildMap
from aegis_tui.adapters.code_map.tag_child import ChildTags
from aegis_tui.adapters.git.environment import without_relative_places
from aegis_tui.adapters.llm.key import KEY_VARIABLE, ModelKey
from aegis_tui.adapters.symbols.reader import FileSymbols
from aegis_tui.bootstrap.bare_hub import main_hub
from aegis_tui.config import Limits, load_settings
from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import Actor
from aegis_tui.domain.review.commands import ReviewPart
from aegis_tui.domain.spec.commands import SpecRescan
from aegis_tui.hub.code_map import CodeMapService
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.joint_news import JointNewsService
from aegis_tui.hub.live_review import LiveReviewService
from aegis_tui.hub.map_tags import MapTagService
from aegis_tui.hub.part_review import PartReviewService
from aegis_tui.hub.regions import RegionService
from aegis_tui.hub.workflow import Wire, WorkflowService
from aegis_tui.ports.map_tags import TagWish
from aegis_tui.sdk.discovery import WorkspacePaths

if TYPE_CHECKING:
    from aegis_tui.hub.consulting import ConsultService
    from aegis_tui.hub.spec_runs import Prepare
    from aegis_tui.hub.specs import SpecService
    from aegis_tui.hub.watching import WatchService


class _Watch:
    """The `WatchService`, whose modules are imported only once the hub serves."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._service: WatchService | None = None

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Import the watcher in a thread, then start it; called once the hub serves.

        Raises:
            Exception: What importing or starting it raises.
        """
        self._service = (await asyncio.to_thread(_load_watching))(self._root)
        await self._service.start(engine, paths)

    async def stop(self) -> None:
        """Stop the watcher; do nothing if it was never started."""
        if self._service is not None:
            await self._service.stop()

    def prepare(self, command: AnyCommand, actor: Actor) -> None:
        """Return None: the watcher adds nothing to commands."""


class _Specs:
    """The `SpecService` and the `ConsultService`, whose modules are imported only once the hub serves.

    Args:
        root: The person's worktree.
        environ: The hub's environment.
        prepare: Completes a `run:start`.
    """

    def __init__(self, root: Path, environ: Mapping[str, str], prepare: Prepare) -> None:
        self._root, self._environ, self._prepare = root, environ, prepare
        self._service: SpecService | None = None
        self._consulting: ConsultService | None = None
        self._ready = asyncio.Event()

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        """Import the service in a thread, then start it; called once the hub serves.

        Raises:
            Exception: What importing or starting it raises.
        """
        watch, consult = await asyncio.to_thread(_load_specs)
        self._service = watch(self._root, self._environ, self._prepare)
        self._consulting = consult(self._root, self._environ)
        await self._service.start(engine, paths)
        await self._consulting.start(engine, paths)
        self._ready.set()

    async def stop(self) -> None:
        """Stop the services; do nothing if they were never started."""
        for service in (self._consulting, self._service):
            if service is not None:
                await service.stop()

    def prepare(self, command: AnyCommand, actor: Actor) -> Awaitable[AnyCommand] | None:
        """Return an awaitable of a person's `spec:rescan` with what was found; None for any other command.

        It waits until the service has started.
        """
        return self._complete(command, actor) if isinstance(command, SpecRescan) and actor.kind == "person" else None

    async def _complete(self, command: AnyCommand, actor: Actor) -> AnyCommand:
        await self._ready.wait()
        filling = self._service.prepare(command, actor) if self._service is not None else None
        return command if filling is None else await filling


def _load_specs() -> tuple[
    Callable[[Path, Mapping[str, str], Prepare], SpecService], Callable[[Path, Mapping[str, str]], ConsultService]
]:
    """Import and return `watch_specs` and `consult_on_specs`; run in a thread, so that the hub answers meanwhile."""
    from aegis_tui.bootstrap.specs import consult_on_specs, watch_specs

    return watch_specs, consult_on_specs


def _load_watching() -> Callable[[Path], WatchService]:
    """Import and return `watch_repository`; run in a thread, so that the hub answers meanwhile."""
    from aegis_tui.bootstrap.watching import watch_repository

    return watch_repository


def serve_hub(root: Path) -> int:
    """Run the hub of the repository at `root` in this process until it ends, and return its exit code (contract 3).

    An `AegisError` or `OSError` of the hub is written to stderr, and its exit code is returned; any other is raised.

    Changes this process's environment: it sets AEGIS_ORPHAN_S, and AEGIS_PORT from the settings if that is not set. It
    removes the model server's key; the relative parts of PATH, PYTHONPATH and similar lists; and a variable such as
    HOME if its path is relative.

    Raises:
        UsageError: The settings cannot be read or are not valid.
    """
    settings = load_settings(os.environ, project=root)
    if settings.port is not None and not os.environ.get("AEGIS_PORT"):
        os.environ["AEGIS_PORT"] = str(settings.port)
    os.environ["AEGIS_ORPHAN_S"] = f"{settings.orphan_s:g}"
    for name in os.environ.keys() - (kept := without_relative_places(os.environ)).keys():
        del os.environ[name]
    os.environ.update(kept)
    key = ModelKey(dict(os.environ))
    os.environ.pop(KEY_VARIABLE, None)  # no program that the hub starts inherits the model server's key
    environ = {name: value for name, value in os.environ.items() if name != "AEGIS_INSTANCE"}
    environ["PATH"] = search_path(environ)
    workflow = WorkflowService(partial(_load_wiring, root, environ, key, settings.limits), compile_package)
    readers = (RegionService(root, FileSymbols()), JointNewsService(root), CodeMapService(root, ChildMap()))
    tags = MapTagService(root, ChildTags(), partial(_tag_wish, environ))
    review = PartReviewService(partial(_read_part, root))
    live = LiveReviewService(partial(_read_part, root))
    specs = _Specs(root, environ, workflow.prepare)
    return main_hub(root, services=[*readers, review, live, workflow, tags, specs, _Watch(root)])


def _tag_wish(environ: Mapping[str, str]) -> TagWish | None:
    """Return what the person's present settings allow for shadow tags; None if no model is named.

    Raises:
        UsageError: The settings are wrong.
    """
    wanted = load_settings(environ).map
    if wanted.tag_model is None:
        return None
    return TagWish(wanted.tag_model, wanted.tag_requests_per_hour, wanted.tag_tokens_per_day)


async def _read_part(root: Path, worktree: Path, base_oid: str) -> ReviewPart:
    from aegis_tui.bootstrap.checkout import read_part_at

    return await read_part_at(root, worktree, base_oid)


def _load_wiring(root: Path, environ: Mapping[str, str], key: ModelKey, limits: Limits) -> Wire:
    """Import the workflow's adapters, and return the function that connects the workflow to them.

    Run it in a thread, so that the hub answers meanwhile.

    Args:
        root: A folder in the repository.
        environ: The hub's environment as programs that it starts may see it, without the model server's key.
        key: The model server's key.
        limits: The limits of every sandbox.
    """
    from aegis_tui.bootstrap.wiring import Wiring

    return Wiring(root, environ, key, limits).wire
