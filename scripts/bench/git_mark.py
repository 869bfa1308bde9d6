"""PERF-7: how long from the second of two saves that conflict until another agent's client hears of the conflict.

A hub runs in this process, with its watcher and the comparison of worktrees; the client is on its socket.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from aegis_tui.adapters.git.live_trees import GitLiveTrees
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.bootstrap.watching import watch_repository
from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import THE_HUB, THE_PERSON, Actor
from aegis_tui.domain.ids import hash_token
from aegis_tui.domain.instance.commands import AgentRegister, InstanceMarkLaunched, InstanceMarkPrepared
from aegis_tui.domain.instance.model import Instance, Phase
from aegis_tui.domain.run.commands import RunMarkPrepared, RunStart
from aegis_tui.domain.run.events import RunFacts, RunOptions
from aegis_tui.domain.workspace import Workspace
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.run import HubService, open_hub
from aegis_tui.hub.watching import WatchService
from aegis_tui.orchestrator.live import LiveConflicts
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress
from scripts.bench.hub_place import BenchPlace, bench_place
from scripts.bench.large_place import git
from scripts.bench.wire import RawStream

WORKERS, CLASHES = 10, 20
_FILES, _LINES = 200, 40
_PAUSE_S = 0.3


class _Comparison:
    """A `HubService`: the comparison alone, without the rest of the workflow."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._task: asyncio.Task[None] | None = None

    async def start(self, engine: Engine, paths: WorkspacePaths) -> None:
        repository = await open_repository(self._root)
        live = LiveConflicts(engine, repository, _take_over, GitLiveTrees(repository.common_dir))
        engine.add_listener(live.note)
        self._task = asyncio.create_task(live.run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def prepare(self, command: AnyCommand, actor: Actor) -> None:
        return None


async def _take_over(_: Instance) -> None:
    """No worker has a sandbox here, so there is nothing to copy."""


def mark_run() -> list[float]:
    """Milliseconds from the end of each second save to the client's socket."""
    with bench_place() as place:
        return asyncio.run(_measure(place))


async def _measure(place: BenchPlace) -> list[float]:
    for number in range(_FILES):
        (place.root / f"f{number}.py").write_text("".join(f"x{line} = 1\n" for line in range(_LINES)))
    git(place.root, "add", ".")
    git(place.root, "-c", "user.name=b", "-c", "user.email=b@b.invalid", "commit", "-qm", "m")
    watch = watch_repository(place.root)
    services: list[HubService] = [watch, _Comparison(place.root)]
    async with open_hub(place.paths, make_log=SqliteEventLog, services=services) as (address, engine):
        trees = await _begin(place, engine)
        await _until_watched(watch)
        return await _clash(address, trees)


async def _begin(place: BenchPlace, engine: Engine) -> list[Path]:
    """Start a run of ten workers, each with a worktree; return these in the order of the features."""
    names = [f"f{number}" for number in range(WORKERS)]
    features = [{"id": name, "title": name, "brief": name, "partition": [f"{name}/**"]} for name in names]
    facts = RunFacts(
        workspace="k", base_oid=git(place.root, "rev-parse", "HEAD"), base_branch="main", qa_commands=("true",)
    )
    options = RunOptions(workers=WORKERS)
    design = {"goal": "g", "features": features}
    await engine.submit(RunStart(goal="g", design=design, options=options, run="run1", facts=facts), THE_PERSON)
    await engine.submit(RunMarkPrepared(run="run1"), THE_HUB)
    planned = await engine.read(_planned)
    trees = {item.piece: place.root.with_name(item.instance_id) for item in planned}
    for item in planned:
        path = trees[item.piece]
        git(place.root, "worktree", "add", "-q", "-b", item.branch or "", str(path))
        made = InstanceMarkPrepared(agent_id=item.agent_id, worktree=str(path), token_hash=hash_token("t"))
        for command in (made, InstanceMarkLaunched(agent_id=item.agent_id, pane="%1", pid=1)):
            await engine.submit(command, THE_HUB)
        await engine.submit(AgentRegister(), Actor(item.agent_id, "instance"))
    return [trees[name] for name in names]


def _planned(workspace: Workspace) -> list[Instance]:
    return [item.model_copy() for item in workspace.instances.by_id.values() if item.phase is Phase.PLANNED]


async def _until_watched(watch: WatchService) -> None:
    for _ in range(600):
        if len(watch.watched) > WORKERS:
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(2.0)  # the first search of every worktree is over


async def _clash(address: HubAddress, trees: list[Path]) -> list[float]:
    heard: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    stream = await RawStream.open(address.socket, lambda text: heard.put_nowait((time.perf_counter(), text)))
    stream.send({"v": 1, "type": "hello", "token": address.token, "types": ["conflict:detected"]})
    await heard.get()
    spent = []
    try:
        for turn in range(CLASHES):
            one, other = trees[turn % WORKERS], trees[(turn * 3 + 1) % WORKERS]
            name = f"f{turn + 20}.py"
            for tree in (one, other):
                await asyncio.sleep(_PAUSE_S)
                lines = (tree / name).read_text("utf-8").splitlines(keepends=True)
                (tree / name).write_text("".join([*lines[:7], f"x7 = '{tree.name}'\n", *lines[8:]]), "utf-8")
            start = time.perf_counter()
            spent.append(round((await _received_at(heard, name) - start) * 1000, 2))
        return spent
    finally:
        stream.close()


async def _received_at(heard: asyncio.Queue[tuple[float, bytes]], name: str) -> float:
    async with asyncio.timeout(30):
        while True:
            at, text = await heard.get()
            if f'"{name}"'.encode() in text and b'"hot"' in text:
                return at
