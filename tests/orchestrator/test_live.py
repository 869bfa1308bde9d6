"""Conflicts between worktrees of a run, told while agents work in them (GIT-2): real engine, real git, no watcher."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.git.live_trees import GitLiveTrees
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.domain.decision import THE_HUB, THE_PERSON, Actor
from aegis_tui.domain.ids import hash_token
from aegis_tui.domain.instance.commands import AgentRegister, InstanceMarkLaunched, InstanceMarkPrepared
from aegis_tui.domain.instance.model import Instance, Phase
from aegis_tui.domain.message.commands import FileObserved
from aegis_tui.domain.piece.commands import MergeMarkApplied
from aegis_tui.domain.run.commands import RunMarkPrepared, RunStart
from aegis_tui.domain.run.events import RunFacts, RunOptions
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.workspace import Workspace
from aegis_tui.hub.engine import Engine
from aegis_tui.orchestrator import live
from aegis_tui.orchestrator.live import LiveConflicts
from aegis_tui.orchestrator.overlap import makes_none
from aegis_tui.sdk.clock import SystemClock
from aegis_tui.testing.memory_log import MemoryLog

NAMES = ("alpha", "beta", "gamma")
DESIGN: dict[str, Any] = {
    "goal": "g",
    "features": [{"id": name, "title": name, "brief": name, "partition": [f"{name}/**"]} for name in NAMES],
    "joint": ["shared.py"],
}
DEADLINE_S = 15.0


def git(root: Path, *args: str) -> str:
    argv = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C", str(root), *args]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


class Lab:
    """A run with a worktree for each of three features, and the loop that compares them."""

    def __init__(self, root: Path, engine: Engine, log: MemoryLog) -> None:
        self.root, self.engine, self.log = root, engine, log
        self.base = git(root, "rev-parse", "HEAD")
        self.trees = {name: root.with_name(name) for name in NAMES}

    async def begin(self) -> None:
        facts = RunFacts(workspace="k", base_oid=self.base, base_branch="main", qa_commands=("true",))
        start = RunStart(goal="g", design=DESIGN, options=RunOptions(workers=3), run="run1", facts=facts)
        await self.engine.submit(start, THE_PERSON)
        await self.engine.submit(RunMarkPrepared(run="run1"), THE_HUB)
        for item in await self.engine.read(_planned):
            path = self.trees[item.piece or ""]
            git(self.root, "worktree", "add", "-q", "-b", item.branch or "", str(path))
            made = InstanceMarkPrepared(agent_id=item.agent_id, worktree=str(path), token_hash=hash_token("t"))
            await self.engine.submit(made, THE_HUB)
            await self.engine.submit(InstanceMarkLaunched(agent_id=item.agent_id, pane="%1", pid=1), THE_HUB)
            await self.engine.submit(AgentRegister(), Actor(item.agent_id, "instance"))

    async def save(self, name: str, text: str, path: str = "shared.py", *, is_told: bool = True) -> None:
        """Write a file in a worktree, and say so as the watcher does."""
        place = self.trees[name] / path
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
        if is_told:
            agent_id = await self.engine.read(lambda it: _run(it).pieces[name].agent_id or "")
            worktree = str(self.trees[name])
            seen = FileObserved(agent_id=agent_id, path=path, change_type="modified", worktree=worktree)
            await self.engine.submit(seen, THE_HUB)

    async def until(self, holds: Callable[[dict[str, tuple[str, str | None]]], bool]) -> dict[str, Any]:
        """Wait until that holds for the conflicts, each with its kind and its resolution."""
        async with asyncio.timeout(DEADLINE_S):
            async for _ in self.engine.changes():
                if holds(found := await self.engine.read(_conflicts)):
                    return found
        raise AssertionError("the changes ended")

    def types(self, kind: str) -> list[Any]:
        return [event.data for event in self.log.written if event.type == kind]


def _planned(workspace: Workspace) -> list[Instance]:
    return [item.model_copy() for item in workspace.instances.by_id.values() if item.phase is Phase.PLANNED]


def _run(workspace: Workspace) -> Run:
    run = workspace.runs.latest()
    assert run is not None
    return run


def _conflicts(workspace: Workspace) -> dict[str, tuple[str, str | None]]:
    return {name: (item.kind, item.resolution) for name, item in _run(workspace).conflicts.items()}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Plays something in a run whose worktrees are compared."""
    monkeypatch.setattr(live, "CHECK_S", 0.05)
    monkeypatch.setattr(live, "UPDATE_S", 0.0)
    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "shared.py").write_text("".join(f"line {number}\n" for number in range(20)))
    git(root, "add", ".")
    git(root, "commit", "-qm", "Start")

    async def run(play: Callable[[Lab], Awaitable[None]]) -> None:
        log = MemoryLog()
        engine = Engine(log, SystemClock())
        await engine.open()
        try:
            it = Lab(root, engine, log)
            await it.begin()
            await play(it)
        finally:
            await engine.close()

    return lambda play: asyncio.run(run(play))


@asynccontextmanager
async def comparing(it: Lab, makes: Callable[[str], bool] = makes_none) -> AsyncIterator[None]:
    """The loop, as the workflow runs it; a second one is that of a hub that was started again."""

    async def take_over(_: Instance) -> None:
        return

    repository = await open_repository(it.root)
    loop = LiveConflicts(it.engine, repository, take_over, GitLiveTrees(repository.common_dir), makes)
    it.engine.add_listener(loop.note)
    task = asyncio.create_task(loop.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def changed(number: int, word: str) -> str:
    return "".join(f"{word if at == number else f'line {at}'}\n" for at in range(20))


def test_a_clash_of_two_dirty_trees_is_told_before_anything_is_committed_and_cleared_when_it_is_gone(lab: Any) -> None:
    async def play(it: Lab) -> None:
        async with comparing(it):
            await it.save("alpha", changed(4, "alpha"))
            await it.save("beta", changed(4, "beta"))
            await it.until(lambda found: found == {"alpha~beta:shared.py": ("hot", None)})
            (told,) = it.types("conflict:detected")
            assert (told.a, told.b, told.hunks) == ("alpha", "beta", 1)
            assert "<<<<<<< alpha\nalpha\n" in told.text and "beta\n>>>>>>> beta" in told.text
            agents = await it.engine.read(lambda it: {_run(it).pieces[name].agent_id for name in ("alpha", "beta")})
            assert {note.to for note in it.types("message:sent") if "same lines" in note.text} == agents
            await it.save("beta", changed(15, "beta"))
            await it.until(lambda found: found == {"alpha~beta:shared.py": ("soft", None)})
            await it.save("beta", changed(99, ""))
            await it.until(lambda found: found == {"alpha~beta:shared.py": ("soft", "none")})
        assert it.types("specs.diff-submitted") == []

    lab(play)


PYTHON = "".join(f"name_{number} = {number}\n" for number in range(20))


def test_what_structure_will_merge_is_soft_and_nobody_is_told(lab: Any) -> None:
    async def play(it: Lab) -> None:
        async with comparing(it):
            await it.save("alpha", PYTHON + "\n\ndef alpha():\n    return 1\n", "new.py")
            await it.save("beta", PYTHON + "\n\ndef beta():\n    return 2\n", "new.py")
            await it.until(lambda found: found == {"alpha~beta:new.py": ("soft", None)})
            (detected,) = it.types("conflict:detected")
            assert (detected.label, detected.strategy) == ("proven", "structure")
        assert [note for note in it.types("message:sent") if "new.py" in note.text] == []

    lab(play)


def test_a_name_that_two_define_far_apart_is_told_to_both_while_they_work(lab: Any) -> None:
    async def play(it: Lab) -> None:
        (it.root / "shared.py").write_text(PYTHON)
        git(it.root, "commit", "-qam", "Names")
        helper = "def helper():\n    return 1\n\n\n"
        async with comparing(it):
            for name, text in (("alpha", helper + PYTHON), ("beta", f"{PYTHON}\n\n{helper}")):
                git(it.trees[name], "reset", "-q", "--hard", "main")
                await it.save(name, text)
            await it.until(lambda found: found == {"alpha~beta:shared.py": ("hot", None)})
            told = it.types("conflict:detected")[-1]
            assert (told.label, told.reason) == ("refused", "defined twice: helper")
            agents = await it.engine.read(lambda it: {_run(it).pieces[name].agent_id for name in ("alpha", "beta")})
            assert {note.to for note in it.types("message:sent") if "shared.py" in note.text} == agents

    lab(play)


@pytest.mark.parametrize("is_installed", [True, False])
def test_a_lockfile_that_the_merge_makes_again_is_no_clash_and_nobody_is_told(lab: Any, is_installed: bool) -> None:
    async def play(it: Lab) -> None:
        async with comparing(it, lambda path: is_installed and path == "uv.lock"):
            await it.save("alpha", "alpha\n", "uv.lock")
            await it.save("beta", "beta\n", "uv.lock")
            kind = "soft" if is_installed else "hot"
            await it.until(lambda found: found == {"alpha~beta:uv.lock": (kind, None)})
            told = it.types("conflict:detected")[-1]
            foreseen = "will be regenerated by its package manager, from the merged manifests"
            assert (told.strategy == "manager", told.reason == foreseen) == (is_installed, is_installed)
            assert bool([note for note in it.types("message:sent") if "uv.lock" in note.text]) is not is_installed

    lab(play)


def test_a_generated_file_is_a_conflict_only_once_one_of_the_two_is_merged(lab: Any) -> None:
    """Until then there is nothing to agree on: its program makes it again from the merged sources."""
    head = "// Code generated by protoc. DO NOT EDIT.\n"

    async def play(it: Lab) -> None:
        async with comparing(it):
            await it.save("alpha", f"{head}alpha\n", "gen/api.pb")
            await it.save("beta", f"{head}beta\n", "gen/api.pb")
            await it.until(lambda found: found == {"alpha~beta:gen/api.pb": ("soft", None)})
            told = it.types("conflict:detected")[-1]
            assert told.reason == "will be regenerated with protoc, from the merged sources"
            assert [note for note in it.types("message:sent") if "api.pb" in note.text] == []
            git(it.trees["alpha"], "add", ".")
            git(it.trees["alpha"], "commit", "-qm", "Alpha")
            head_oid = git(it.trees["alpha"], "rev-parse", "HEAD")
            await merge(it, "alpha", head_oid, "gen/api.pb")
            await it.until(lambda found: found == {"alpha~beta:gen/api.pb": ("hot", None)})
            (note,) = [note for note in it.types("message:sent") if "api.pb" in note.text]
            assert "generated: make it again with protoc, from the merged sources" in note.text

    lab(play)


def test_the_text_of_a_conflict_follows_what_is_saved(lab: Any) -> None:
    async def play(it: Lab) -> None:
        async with comparing(it):
            await it.save("alpha", changed(4, "alpha"))
            await it.save("beta", changed(4, "beta"))
            await it.until(lambda found: "alpha~beta:shared.py" in found)
            await it.save("beta", changed(4, "beta again"))
            await it.until(lambda _: "beta again" in it.types("conflict:detected")[-1].text)
        assert len([note for note in it.types("message:sent") if "same lines" in note.text]) == 2

    lab(play)


def test_a_hub_that_is_started_again_finds_what_was_saved_meanwhile(lab: Any) -> None:
    async def play(it: Lab) -> None:
        async with comparing(it):
            await it.save("alpha", changed(4, "alpha"))
            await it.save("beta", changed(4, "beta"))
            await it.until(lambda found: found == {"alpha~beta:shared.py": ("hot", None)})
        await it.save("beta", changed(99, ""), is_told=False)
        await it.save("gamma", changed(4, "gamma"), is_told=False)
        async with comparing(it):
            await it.until(
                lambda found: found == {"alpha~beta:shared.py": ("hot", "none"), "alpha~gamma:shared.py": ("hot", None)}
            )

    lab(play)


def test_work_is_compared_with_what_is_merged_until_it_is_rebased(lab: Any) -> None:
    async def play(it: Lab) -> None:
        async with comparing(it):
            await it.save("alpha", changed(4, "alpha"))
            git(it.trees["alpha"], "commit", "-qam", "Alpha")
            head = git(it.trees["alpha"], "rev-parse", "HEAD")
            await it.save("beta", changed(4, "beta"))
            await it.until(lambda found: found == {"alpha~beta:shared.py": ("hot", None)})
            await merge(it, "alpha", head)
            await it.save("gamma", changed(12, "gamma"))
            open_now = {"alpha~beta:shared.py": ("hot", None)}
            await it.until(lambda found: found.items() > open_now.items())
            git(it.trees["beta"], "checkout", "-q", "shared.py")
            git(it.trees["beta"], "reset", "-q", "--hard", head)
            await it.save("beta", changed(4, "alpha\nbeta"))
            found = await it.until(lambda found: found["alpha~beta:shared.py"] == ("hot", "rebased"))
            assert found["alpha~gamma:shared.py"] == ("soft", None)

    lab(play)


async def merge(it: Lab, name: str, head: str, path: str = "shared.py") -> None:
    """Let a piece be merged, however it came to that."""

    def accept(workspace: Workspace) -> None:
        piece = _run(workspace).pieces[name]
        piece.status, piece.head_oid, piece.files = type(piece.status).ACCEPTED, head, (path,)

    it.engine.peek(accept)
    await it.engine.submit(MergeMarkApplied(run="run1", piece=name, head_oid=head, oid=head), THE_HUB)


def test_a_worktree_that_vanishes_ends_no_comparison_of_the_others(lab: Any) -> None:
    async def play(it: Lab) -> None:
        async with comparing(it):
            await it.save("gamma", changed(4, "gamma"))
            it.trees["gamma"].rename(it.trees["gamma"].with_name("away"))
            await it.save("alpha", changed(4, "alpha"))
            await it.save("beta", changed(4, "beta"))
            await it.until(lambda found: found.get("alpha~beta:shared.py") == ("hot", None))

    lab(play)
