"""A task that the built-in agent does twice, with the same decisions: by the code map, and by search and line ranges.

The task is to change two calls of a function in two other files. The script of the model is made from what the map
knows, so that both ways change the same lines.
"""

from __future__ import annotations

import asyncio
import io
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.adapters.code_map.store import SqliteMapStore
from aegis_tui.adapters.git.content import WorktreeFiles
from aegis_tui.adapters.llm.openai import OpenAIChat
from aegis_tui.adapters.symbols.reader import FileSymbols
from aegis_tui.agent.pane import Pane
from aegis_tui.agent.role import load_role
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.session import AgentSession
from aegis_tui.agent.settings import AgentSettings, InstanceScope
from aegis_tui.application.code_map import CodeMap
from aegis_tui.domain.scope.partition import PartitionTable
from aegis_tui.testing.canned_llm import CannedModel, calls
from aegis_tui.testing.memory_hub import MemoryHub, MemoryLink
from aegis_tui.testing.scripted_meters import render_prompt
from scripts.bench.record import Figure

TASKS = 5
"""How many functions of each tree are chosen."""
WINDOW = 40
"""How many lines before and after a place are read where the extent of a function is not known."""
SEED = 11
ME = "NATIVE-w01"

Step = tuple[str, dict[str, Any]]
Count = Callable[[str], int]


@dataclass(frozen=True)
class Task:
    """A function, and a call of it in each of two other files."""

    path: str
    name: str
    line: int
    sites: tuple[tuple[str, int, str], ...]
    """Path, line and caller."""


@dataclass(frozen=True)
class MappedLink(MemoryLink):
    """A link to a hub in memory that has a code map."""

    code_map: CodeMap | None = None

    async def command(
        self, command_type: str, /, *, request_id: str | None = None, timeout_s: float | None = None, **fields: Any
    ) -> dict[str, Any]:
        """As the link does; a question to the map is answered."""
        if command_type == "map:ask" and self.code_map is not None:
            return {"ok": True, "answer": await asyncio.to_thread(self.code_map.callers, fields["about"])}
        return await super().command(command_type, request_id=request_id, timeout_s=timeout_s, **fields)


class Spent(NamedTuple):
    """The prompt tokens of one way to do a task."""

    all: int
    """Of all requests together."""
    fixed: int
    """The part of it that every request begins with: system text, tools, brief."""


def run_tasks(trees: Mapping[str, Path], count: Count) -> list[Figure]:
    """Return how many prompt tokens the map saves in the tasks of each tree, and in all."""
    figures: list[Figure] = []
    by_way: dict[str, list[Spent]] = {"map": [], "lines": [], "files": []}
    for name, tree in trees.items():
        before = len(by_way["map"])
        with tempfile.TemporaryDirectory(prefix="aegis-task-") as scratch:
            root = _repository(tree, Path(scratch))
            store = SqliteMapStore(Path(scratch) / "map.db")
            code_map = CodeMap(WorktreeFiles(root), store, SourceReader())
            code_map.refresh()
            for task in _tasks(root, code_map):
                for way, steps in _ways(root, task).items():
                    by_way[way].append(_spent(root, code_map, steps, count))
            store.close()
        pairs = zip(by_way["map"][before:], by_way["lines"][before:], strict=True)
        saved = tuple(_saved(off.all, on.all) for on, off in pairs)
        what = f"prompt tokens that the map saves in a task in {name}"
        figures.append(Figure(f"task_{name.partition('=')[0]}", what, "%", saved))
    return [*figures, *_totals(by_way)]


def _totals(by_way: Mapping[str, list[Spent]]) -> Iterator[Figure]:
    total = {way: sum(item.all for item in spent) for way, spent in by_way.items()}
    rest = {way: sum(item.all - item.fixed for item in spent) for way, spent in by_way.items()}
    on, off, whole = (total[way] for way in ("map", "lines", "files"))
    count = len(by_way["map"])
    what = f"prompt tokens that the map saves in {count} tasks, against search and lines ({on:,} instead of {off:,})"
    yield Figure("task", what, "%", (_saved(off, on),))
    what = "of that without system text, tools and brief, which every request begins with"
    yield Figure("task_rest", what, "%", (_saved(rest["lines"], rest["map"]),))
    what = f"prompt tokens that the map saves in them, against whole files ({on:,} instead of {whole:,})"
    yield Figure("task_files", what, "%", (_saved(whole, on),))


def _saved(whole: int, part: int) -> float:
    return round(100 * (1 - part / whole), 2)


def _ways(root: Path, task: Task) -> dict[str, list[Step]]:
    lines = _without_map(root, task)
    files = [(tool, {"path": args["path"], "body": True}) if tool == "read" else (tool, args) for tool, args in lines]
    return {"map": _with_map(root, task), "lines": lines, "files": files}


def _repository(tree: Path, folder: Path) -> Path:
    root = folder / "repo"
    shutil.copytree(tree, root)
    for arguments in (
        ("init", "-q", "-b", "main"),
        ("add", "-A"),
        ("-c", "user.name=Bench", "-c", "user.email=bench@example.org", "commit", "-qm", "files"),
    ):
        subprocess.run(["git", *arguments], cwd=root, check=True, timeout=120)
    return root


def _tasks(root: Path, code_map: CodeMap) -> list[Task]:
    """Choose functions at random that are certainly called in functions of two other files, on lines of their own."""
    tasks: list[Task] = []
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=root, check=True, capture_output=True, text=True)
    paths = listed.stdout.split()
    random.Random(SEED).shuffle(paths)
    for path in paths:
        facts = SourceReader().derive("python", (root / path).read_bytes())
        names = [item for item in facts.symbols if item.kind == "function" and "." not in item.name]
        for symbol in names:
            sites: dict[str, tuple[str, int, str]] = {}
            for site in code_map.callers(f"{path}:{symbol.name}")["sites"]:
                if (
                    site["certain"]
                    and site["path"] != path
                    and site["caller"]
                    and _is_alone(root, site["path"], site["line"])
                ):
                    sites.setdefault(site["path"], (site["path"], site["line"], site["caller"]))
            if len(sites) >= 2:
                tasks.append(Task(path, symbol.name, symbol.line, tuple(sites.values())[:2]))
                break
        if len(tasks) == TASKS:
            break
    return tasks


def _is_alone(root: Path, path: str, line: int) -> bool:
    text = (root / path).read_text("utf-8")
    return text.count(text.splitlines()[line - 1]) == 1


def _edits(root: Path, task: Task) -> list[Step]:
    steps: list[Step] = []
    for path, line, _ in task.sites:
        old = (root / path).read_text("utf-8").splitlines()[line - 1]
        steps.append(("edit", {"path": path, "old": old, "new": f"{old}  # checked"}))
    return steps


_END: Step = ("report", {"status": "blocked", "summary": "both calls are changed"})


def _with_map(root: Path, task: Task) -> list[Step]:
    first, second = _edits(root, task)
    (one, _, caller), (other, _, next_caller) = task.sites
    return [
        ("map", {"question": "callers", "about": f"{task.path}:{task.name}"}),
        ("read", {"path": f"{task.path}:{task.name}"}),
        ("read", {"path": f"{one}:{caller}"}),
        first,
        ("read", {"path": f"{other}:{next_caller}"}),
        second,
        _END,
    ]


def _without_map(root: Path, task: Task) -> list[Step]:
    first, second = _edits(root, task)
    (one, line, _), (other, next_line, _) = task.sites
    return [
        ("search", {"pattern": task.name}),
        ("read", {"path": task.path, **_around(task.line)}),
        ("read", {"path": one, **_around(line)}),
        first,
        ("read", {"path": other, **_around(next_line)}),
        second,
        _END,
    ]


def _around(line: int) -> dict[str, int]:
    return {"start": max(1, line - WINDOW), "end": line + WINDOW}


def _spent(root: Path, code_map: CodeMap, steps: list[Step], count: Count) -> Spent:
    """Have the agent take the steps, put the files back, and return the tokens of all its prompts."""
    requests = asyncio.run(_requests(root, code_map, steps))
    subprocess.run(["git", "checkout", "-q", "--", "."], cwd=root, check=True, timeout=60)
    sizes = [count(render_prompt(request["messages"], request["tools"])) for request in requests]
    return Spent(sum(sizes), sizes[0] * len(sizes))


async def _requests(root: Path, code_map: CodeMap, steps: list[Step]) -> list[dict[str, Any]]:
    """Have the agent take the steps, and return its requests to the model."""
    partitions = PartitionTable()
    partitions.set(ME, ("**",))
    hub = MemoryHub(partitions)
    async with asyncio.timeout(60), CannedModel() as server:
        for step in steps:
            server.will(calls(step))
        settings = _settings(root, server.base_url)
        model = OpenAIChat(settings.base_url, attempts=1)
        link = MappedLink(hub, ME, code_map)
        session = AgentSession(
            settings,
            load_role("worker"),
            link=link,
            model=model,
            symbols=FileSymbols(),
            facts=SourceReader(),
            screen=Screen(Pane(io.StringIO())),
        )
        running = asyncio.create_task(session.run())
        await hub.wait_for("agent:report", state="idle")
        await hub.prompt(ME, "Check two calls of the function, and mark them.", spec_id="a", task="implement")
        await hub.wait_for("agent:report", timeout_s=50.0, state="blocked")
        session.stop("done")
        await running
        await model.close()
    wrong = [str(item) for item in session.conversation.messages if str(item["content"]).startswith("Error")]
    if wrong or len(server.requests) != len(steps):
        raise SystemExit(f"the task was not done: {wrong}")
    return server.requests


def _settings(root: Path, base_url: str) -> AgentSettings:
    return AgentSettings(
        orphan_s=60.0,
        instance_id="w01",
        agent_id=ME,
        role="worker",
        hub="",
        token_file=root / "none",
        base_url=base_url,
        model=None,
        scope=InstanceScope(partition=("**",)),
        shared_context="# The run\n\nGoal: check two calls.",
        max_turns=20,
        worktree=root,
    )
