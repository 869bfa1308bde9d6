import asyncio
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.bootstrap.watching import watch_repository
from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.domain.event import AnyEventData, Event, event_to_wire
from aegis_tui.domain.instance.events import AgentJoined, InstancePlanned, InstancePrepared
from aegis_tui.domain.message.events import FileChanged
from aegis_tui.hub.engine import Engine
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress

LATER_S = 0.5
"""A write so soon after a lock that its change is told together with the one before counts as made under the lock."""


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t.invalid")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def make_repository(root: Path, worktree: Path) -> None:
    git(root.parent, "init", "-q", str(root))
    git(root, "commit", "-q", "--allow-empty", "-m", "m")
    git(root, "worktree", "add", "-q", str(worktree))


async def prepare_worktree(engine: Engine, worktree: Path) -> None:
    """Put an instance with a worktree into the log the way a run would."""
    planned = InstancePlanned(
        instance_id="w01",
        role="worker",
        kind="native",
        run=None,
        task="free",
        piece=None,
        base_oid=None,
        branch=None,
        partition=("src/**",),
    )
    joined = AgentJoined(agent_type="NATIVE", role="worker", partition=("src/**",), session="s")
    prepared = InstancePrepared(worktree=str(worktree), token_hash="0" * 64)
    timestamp = engine.timestamp()
    drafts: list[AnyEventData] = [planned, prepared, joined]
    await engine._log.append([Event(n, "NATIVE-w01", timestamp, data) for n, data in enumerate(drafts, 1)], [])
    await engine._rebuild()
    await engine.submit({"type": "broadcast", "event": "note:n", "data": {}}, THE_PERSON)


def test_a_save_in_a_worktree_reaches_other_clients_soon_with_who_and_where(
    paths: WorkspacePaths, tmp_path: Path
) -> None:
    root, worktree = tmp_path / "repo", tmp_path / "tree"
    make_repository(root, worktree)

    async def main() -> None:
        watching = watch_repository(root, scan_s=3600)  # only the kernel tells
        async with (
            open_hub(paths, port=0, services=[watching]) as (address, engine),
            EnsembleClient(f"unix:{address.socket}", token=address.token) as client,
        ):
            await prepare_worktree(engine, worktree)
            async with asyncio.timeout(10):
                while "NATIVE-w01" not in watching.watched:
                    await asyncio.to_thread(time.sleep, 0.01)
            async with asyncio.timeout(20), aclosing(client.events(types=["file:changed"], after=0)) as events:
                (root / "readme.md").write_text("hello")
                event = await anext(events)
                assert (event.agent_id, event.data["path"], event.data["change_type"], event.data["worktree"]) == (
                    "person",
                    "readme.md",
                    "created",
                    str(root),
                )
                for number in range(10):
                    await asyncio.to_thread((worktree / f"{number}.py").write_text, "x")
                    event = await anext(events)
                    assert (event.agent_id, event.data["path"]) == ("NATIVE-w01", f"{number}.py")
                    assert event.data["worktree"] == str(worktree)
            state = await engine.context()
            assert state["recent_changes"][0]["file"] == "readme.md"

    asyncio.run(main())


@asynccontextmanager
async def watched_hub(paths: WorkspacePaths, root: Path, *expected: str) -> AsyncIterator[tuple[HubAddress, Engine]]:
    """A hub that watches these folders beside `root`, a plain agent `two` in the person's checkout."""
    watching = watch_repository(root, coalesce_s=0.02, refresh_s=0.05)
    async with open_hub(paths, port=0, services=[watching]) as (address, engine):
        if "NATIVE-w01" in expected:
            await prepare_worktree(engine, root.parent / "tree")
        await engine.submit(
            {"type": "agent:register", "agent_type": "CLAUDE", "instance_id": "two", "partition": ["lib/**"]},
            THE_PERSON,
        )
        async with asyncio.timeout(15):
            while not {str(root), *expected} <= watching.folders | watching.watched:
                await asyncio.to_thread(time.sleep, 0.01)
            yield address, engine


async def told(engine: Engine, path: str, count: int) -> list[FileChanged]:
    """The first `count` changes of a path, once they are logged."""
    while True:
        logged = [item.data for item in await engine.events(0, 5000)]
        found = [item for item in logged if isinstance(item, FileChanged) and item.path == path]
        if len(found) >= count:
            return found[:count]
        await asyncio.to_thread(time.sleep, 0.01)


async def share(engine: Engine, path: str) -> None:
    """Let the second agent write a path of the first, which then needs a lock there."""
    asked = await engine.submit({"type": "scope:request", "path": path, "reason": "r"}, Actor("CLAUDE-two", "instance"))
    await engine.submit({"type": "scope:grant", "request": asked["request"]}, THE_PERSON)


def test_a_write_whose_lock_is_released_at_once_is_not_told_as_unlocked(paths: WorkspacePaths, tmp_path: Path) -> None:
    root, worktree = tmp_path / "repo", tmp_path / "tree"
    make_repository(root, worktree)
    (worktree / "src").mkdir()
    me = Actor("NATIVE-w01", "instance")

    async def main() -> list[bool]:
        async with watched_hub(paths, root, "NATIVE-w01") as (_, engine):
            await share(engine, "src/a.py")
            (worktree / "src" / "a.py").write_text("without a lock")
            await told(engine, "src/a.py", 1)
            (lock,) = (await engine.submit({"type": "lock:acquire", "path": "src/a.py"}, me))["locks"]
            (worktree / "src" / "a.py").write_text("under a lock")
            await engine.submit({"type": "lock:release", "lock_id": lock["lock_id"], "token": lock["token"]}, me)
            await told(engine, "src/a.py", 2)
            await asyncio.sleep(LATER_S)
            (worktree / "src" / "a.py").write_text("after the lock")
            return [item.unlocked for item in await told(engine, "src/a.py", 3)]

    assert asyncio.run(main()) == [True, False, True]


def test_a_plain_client_that_writes_inside_its_lock_is_not_told_as_unlocked(
    paths: WorkspacePaths, tmp_path: Path
) -> None:
    root, worktree = tmp_path / "repo", tmp_path / "tree"
    make_repository(root, worktree)
    (root / "lib").mkdir()

    async def main() -> list[bool]:
        async with (
            watched_hub(paths, root) as (address, engine),
            EnsembleClient(f"unix:{address.socket}", token=address.token) as hub,
        ):
            async with hub.lock("lib/app.py", wait_s=5):
                (root / "lib" / "app.py").write_text("written under a lock")
            await told(engine, "lib/app.py", 1)
            await asyncio.sleep(LATER_S)
            (root / "lib" / "app.py").write_text("written without one")
            return [item.unlocked for item in await told(engine, "lib/app.py", 2)]

    assert asyncio.run(main()) == [False, True]


def test_what_a_rebase_brings_in_is_not_told_as_unlocked(paths: WorkspacePaths, tmp_path: Path) -> None:
    root, worktree = tmp_path / "repo", tmp_path / "tree"
    make_repository(root, worktree)
    (root / "lib").mkdir()
    (root / "lib" / "x.py").write_text("theirs")
    git(root, "add", ".")
    git(root, "commit", "-qm", "theirs")
    git(root, "branch", "theirs")

    async def main() -> list[bool]:
        async with watched_hub(paths, root, "NATIVE-w01") as (_, engine):
            await asyncio.to_thread(git, worktree, "rebase", "-q", "theirs")
            await told(engine, "lib/x.py", 1)
            (worktree / "lib" / "x.py").write_text("mine")
            return [item.unlocked for item in await told(engine, "lib/x.py", 2)]

    assert asyncio.run(main()) == [False, True]


def test_every_worktree_of_the_repository_is_watched_wherever_the_hub_was_started(
    paths: WorkspacePaths, tmp_path: Path
) -> None:
    root, worktree, third = tmp_path / "repo", tmp_path / "tree", tmp_path / "third"
    make_repository(root, worktree)

    async def main() -> list[tuple[str, str]]:
        found = []
        async with watched_hub(paths, worktree, str(root)) as (_, engine):
            (root / "main.md").write_text("main")
            (worktree / "linked.md").write_text("linked")
            found += [*await told(engine, "main.md", 1), *await told(engine, "linked.md", 1)]
            for path in ("third.md", "again.md"):
                await asyncio.to_thread(git, root, "worktree", "add", "-qf", str(third), "HEAD")
                while not any(item.path == path for item in found):
                    (third / path).write_text(str(time.time()))
                    await asyncio.to_thread(time.sleep, 0.05)
                    logged = [item.data for item in await engine.events(0, 5000) if item.agent_id == "person"]
                    found += [item for item in logged if isinstance(item, FileChanged) and item.path == path][:1]
                await asyncio.to_thread(git, root, "worktree", "remove", "--force", str(third))
        return [(item.worktree, item.path) for item in found]

    assert asyncio.run(main()) == [
        (str(root), "main.md"),
        (str(worktree), "linked.md"),
        (str(third), "third.md"),
        (str(third), "again.md"),
    ]


def test_the_token_hash_of_an_instance_stays_in_the_hub(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine):
            await prepare_worktree(engine, tmp_path)
            (logged, *_) = await engine.events(1, 1)
            assert event_to_wire(logged)["data"]["token_hash"] == "0" * 64
            async with EnsembleClient(f"unix:{address.socket}", token=address.token) as client:
                async with aclosing(client.events(after=1)) as events:
                    event = await anext(events)
                    assert event.type == "instance:prepared" and "token_hash" not in event.data
                assert "0" * 64 not in str(await client.get_shared_context())

    asyncio.run(main())
