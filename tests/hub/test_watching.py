import asyncio
import subprocess
import time
from contextlib import aclosing
from pathlib import Path

from aegis_tui.domain.decision import THE_PERSON
from aegis_tui.domain.event import AnyEventData, Event, event_to_wire
from aegis_tui.domain.instance import AgentJoined, InstancePlanned, InstancePrepared
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.run import open_hub
from aegis_tui.hub.watching import WatchService
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.discovery import WorkspacePaths


def make_repository(root: Path, worktree: Path) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t.invalid")
    for argv in (
        ["init", "-q", str(root)],
        ["-C", str(root), *identity, "commit", "-q", "--allow-empty", "-m", "m"],
        ["-C", str(root), "worktree", "add", "-q", str(worktree)],
    ):
        subprocess.run(["git", *argv], check=True, capture_output=True)


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
        watching = WatchService(root)
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
                latencies_s = []
                for number in range(10):
                    started = time.perf_counter()
                    await asyncio.to_thread((worktree / f"{number}.py").write_text, "x")
                    event = await anext(events)
                    latencies_s.append(time.perf_counter() - started)
                    assert (event.agent_id, event.data["path"]) == ("NATIVE-w01", f"{number}.py")
                    assert event.data["worktree"] == str(worktree)
            assert sorted(latencies_s)[5] < 1.0, latencies_s
            state = await engine.context()
            assert state["recent_changes"][0]["file"] == "readme.md"

    asyncio.run(main())


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
