"""A task that the built-in agent does several times with the same decisions: with the code map, and without it.

The task: a function is given by its name and file. Find its definition and its calls, read what is needed, change one
call in each of two other files, and submit. Functions and calls are chosen at random, from those whose calls the map is
certain of; `tokens_ways.py` says what each way calls. The scripts of the model are made from what the map knows, so
that all ways change the same lines; none of them needs a second try.

The prompts are those that the agent sends, counted whole: tools, system text, brief, and all that was said before,
again in every request. Each way has the tools of the role `worker`; without the map, `map` is not among them.
"""

from __future__ import annotations

import asyncio
import io
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from aegis_tui.testing.scripted_meters import PrefixCache, render_prompt
from scripts.bench.record import Figure
from scripts.bench.tokens_ways import Task, Way, ways_of

TASKS = 5
"""How many functions of each tree are chosen."""
SEED = 11
ME = "NATIVE-w01"

Encode = Callable[[str], list[int]]


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
    """The prompt tokens of one way to do a task, of all its requests together."""

    requests: int
    """How many requests there were; not tokens."""
    all: int
    tools: int
    """The part of it that are the tools."""
    told: int
    """System text and brief."""
    results: int
    """Results of tools, again in each request after them."""
    said: int
    """The replies of the model with their calls, again in each request after them."""
    computed: int
    """What a server with an ideal prefix cache, empty at the beginning of the task, computes of it."""


def run_tasks(trees: Mapping[str, Path], encode: Encode) -> list[Figure]:
    """Return how many prompt tokens the map saves in the tasks of each tree, and in all."""
    figures: list[Figure] = []
    by_way: dict[str, list[Spent]] = {}
    for name, tree in trees.items():
        before = len(by_way.get("map", ()))
        with tempfile.TemporaryDirectory(prefix="aegis-task-") as scratch:
            root = _repository(tree, Path(scratch))
            store = SqliteMapStore(Path(scratch) / "map.db")
            code_map = CodeMap(WorktreeFiles(root), store, SourceReader())
            code_map.refresh()
            for task in _tasks(root, code_map):
                for way in ways_of(root, task):
                    by_way.setdefault(way.name, []).append(_spent(root, code_map, way, encode))
            store.close()
        pairs = zip(by_way["map"][before:], by_way["lines"][before:], strict=True)
        saved = tuple(_saved(off.all, on.all) for on, off in pairs)
        what = f"prompt tokens that the map saves in a task in {name}"
        figures.append(Figure(f"task_{name.partition('=')[0]}", what, "%", saved))
    return [*figures, *_totals(by_way)]


COMPARED = (
    ("task", "map", "lines", "prompt tokens that the map saves in {count} tasks, against search and lines"),
    (
        "task_together",
        "map_together",
        "lines_together",
        "the same if a reply holds all calls that do not wait for others",
    ),
    ("task_narrow", "map", "narrow", "the same as the first, against 41 lines around each place instead of 81"),
    ("task_read", "map_read", "lines", "the same as the first, if both callers are read whole as well"),
    ("task_files", "map", "files", "the same as the first, against whole files"),
)
"""Name of a figure, the two ways that it compares, and what it says."""

CAUSES = ("tools", "told", "results", "said")


def _totals(by_way: Mapping[str, Sequence[Spent]]) -> Iterator[Figure]:
    total = {way: _sum(spent) for way, spent in by_way.items()}
    for name, on, off, words in COMPARED:
        what = words.format(count=len(by_way["map"]))
        between = f"{total[on].all:,} instead of {total[off].all:,}"
        yield Figure(name, f"{what} ({between})", "%", (_saved(total[off].all, total[on].all),))
    mapped, unmapped = total["map"], total["lines"]
    between = f"{mapped.computed:,} instead of {unmapped.computed:,}"
    what = f"of the first, tokens that an ideal prefix cache does not hold ({between})"
    yield Figure("task_computed", what, "%", (_saved(unmapped.computed, mapped.computed),))
    for cause, words in zip(CAUSES, ("the tools", "system text and brief", "results", "the replies"), strict=True):
        mine, theirs = getattr(mapped, cause), getattr(unmapped, cause)
        share = round(100 * (theirs - mine) / unmapped.all, 2)
        what = f"of the first, saved by {words} ({mine:,} instead of {theirs:,}), of all tokens without the map"
        yield Figure(f"task_{cause}", what, "%", (share,))
    for way in ("map", "lines"):
        counts = tuple(float(item.requests) for item in by_way[way])
        yield Figure(f"requests_{way}", f"requests of a task, way `{way}`", "requests", counts)


def _sum(spent: Sequence[Spent]) -> Spent:
    return Spent(*(sum(parts) for parts in zip(*spent, strict=True)))


def _saved(whole: int, part: int) -> float:
    return round(100 * (1 - part / whole), 2)


def _repository(tree: Path, folder: Path) -> Path:
    root = folder / "repo"
    shutil.copytree(tree, root)
    for arguments in (
        ("init", "-q", "-b", "main"),
        ("config", "user.name", "Bench"),
        ("config", "user.email", "bench@example.org"),
        ("add", "-A"),
        ("commit", "-qm", "files"),
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


def _spent(root: Path, code_map: CodeMap, way: Way, encode: Encode) -> Spent:
    """Have the agent work in this way, put the files back, and return the tokens of all its prompts."""
    base = _git(root, "rev-parse", "HEAD")
    requests = asyncio.run(_requests(root, code_map, way, base))
    changed = _git(root, "diff", "--stat", base, "HEAD").splitlines()[-1]
    _git(root, "reset", "-q", "--hard", base)
    if "2 files changed, 2 insertions(+), 2 deletions(-)" not in changed:
        raise SystemExit(f"the two calls were not changed: {changed}")
    cache, computed, parts = PrefixCache(None), 0, dict.fromkeys(CAUSES, 0)
    for request in requests:
        tokens = encode(render_prompt(request["messages"], request["tools"]))
        computed += len(tokens) - cache.add(tokens)
        parts["tools"] += len(encode(render_prompt([], request["tools"])))
        for message in request["messages"]:
            cause = {"tool": "results", "assistant": "said"}.get(message["role"], "told")
            parts[cause] += len(encode(render_prompt([message])))
    return Spent(len(requests), sum(parts.values()), **parts, computed=computed)


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


async def _requests(root: Path, code_map: CodeMap, way: Way, base: str) -> list[dict[str, Any]]:
    """Have the agent work in this way, and return its requests to the model."""
    partitions = PartitionTable()
    partitions.set(ME, ("**",))
    hub = MemoryHub(partitions)
    role = load_role("worker")
    if not way.has_map:
        role = role.model_copy(update={"tools": tuple(name for name in role.tools if name != "map")})
    async with asyncio.timeout(60), CannedModel() as server:
        for step in way.replies:
            server.will(calls(*step))
        settings = _settings(root, server.base_url)
        model = OpenAIChat(settings.base_url, attempts=1)
        session = AgentSession(
            settings,
            role,
            link=MappedLink(hub, ME, code_map),
            model=model,
            symbols=FileSymbols(),
            facts=SourceReader(),
            screen=Screen(Pane(io.StringIO())),
        )
        running = asyncio.create_task(session.run())
        await hub.wait_for("agent:report", state="idle")
        context = {"spec_id": "a", "task": "implement", "base_oid": base}
        await hub.prompt(ME, f"Mark two calls of {way.about} as checked.", **context)
        await hub.wait_for("agent:report", timeout_s=50.0, state="done")
        session.stop("done")
        await running
        await model.close()
    wrong = [str(item) for item in session.conversation.messages if str(item["content"]).startswith("Error")]
    if wrong or len(server.requests) != len(way.replies) or not hub.of_type("diff:submit"):
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
