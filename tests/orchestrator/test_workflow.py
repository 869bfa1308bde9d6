"""What the workflow follows beside the effects: ends, panes that are lost, the gateway, crossing commits (FLOW-6)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.domain.instance.model import Instance
from aegis_tui.orchestrator import gateway, reconcile, workflow
from aegis_tui.orchestrator.disk_watch import DiskWatch
from tests.orchestrator.run_bench import Bench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(reconcile, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(workflow, "PANE_CHECK_S", 0.05)
    monkeypatch.setattr(workflow, "HEADS_CHECK_S", 0.05)
    return Bench(tmp_path)


def lost(bench: Bench) -> list[str]:
    return [event.data.model_dump()["reason"] for event in bench.events("instance:lost")]


def test_a_program_that_ends_before_its_task_is_lost_and_another_takes_it(bench: Bench) -> None:
    def end(item: Instance) -> bool:
        bench.terminal.end(item.instance_id, status=1)
        return False

    bench.plays["w01"] = end
    ended = asyncio.run(bench.run())
    assert ended.ok is True
    assert len(lost(bench)) == 1
    (exited,) = [event for event in bench.events("instance:exited") if event.data.model_dump()["status"] == 1]
    assert exited.agent_id == "NATIVE-w01"
    assert ended.pieces["alpha"].agent_id != "NATIVE-w01"


def test_panes_that_died_while_nobody_told_are_found(bench: Bench) -> None:
    def end(item: Instance) -> bool:
        bench.terminal.end(item.instance_id, status=None, signal=9, reported=False)
        return False

    bench.plays["w01"] = end
    ended = asyncio.run(bench.run())
    assert ended.ok is True
    assert len(lost(bench)) == 1


def test_a_terminal_server_that_is_gone_is_found_and_opened_again(bench: Bench) -> None:
    def lose(item: Instance) -> bool:
        bench.terminal.lose()
        return False

    bench.plays["w01"] = lose
    ended = asyncio.run(bench.run())
    assert ended.ok is True
    assert "its pane is gone" in lost(bench)


def test_a_program_that_never_joins_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "JOIN_DEADLINE_S", 0.2)
    bench.plays["w01"] = lambda item: False
    ended = asyncio.run(bench.run())
    assert ended.ok is True
    assert lost(bench) == ["it did not join the hub in time: NATIVE-w01"]


def test_the_gateway_knows_an_instance_before_its_pane_is_open(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its first call to the model would be refused. The loops that tell the gateway of changes may be late."""

    async def late(_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(gateway.GatewayKeeper, "run", late)
    open_pane, seen = bench.terminal.open_pane, []

    async def watched(spec: Any) -> Any:
        served = bench.gateway.served
        seen.append(served is not None and f"NATIVE-{spec.instance}" in served[2].values())
        return await open_pane(spec)

    bench.terminal.open_pane = watched  # type: ignore[method-assign]  # it only looks
    assert asyncio.run(bench.run()).ok is True
    assert len(seen) >= 4 and all(seen)


def test_commits_that_cross_are_told_before_anything_is_handed_in(bench: Bench) -> None:
    def commit(item: Instance) -> str:
        bench.repository.change(item.branch or "", {"src/a/x.py": f"a = '{item.instance_id}'\n"})
        return "joined"

    bench.plays.update(w01=commit, w02=commit)

    def is_told(run: Any) -> bool:
        return any(item.path == "src/a/x.py" for item in run.conflicts.values())

    told = asyncio.run(bench.run(is_told))
    assert [(item.a, item.b, item.kind) for item in told.conflicts.values()] == [("alpha", "beta", "hot")]
    assert bench.events("diff:submitted") == []


def test_an_instance_that_fills_the_disk_is_ended_and_told_why(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        async def wait_until_over(self, folders: Sequence[Path], limit_bytes: int) -> int:
            if folders[0].name != "w01":
                await asyncio.Event().wait()
            return 2 * limit_bytes

    bench.disks = DiskWatch(Full(), 1 << 30)
    bench.plays["w01"] = lambda item: False
    ended = asyncio.run(bench.run())
    assert len(lost(bench)) == 1 and "disk" in lost(bench)[0]
    assert "w01" not in bench.terminal.panes
    assert ended.pieces["alpha"].agent_id != "NATIVE-w01"


def test_a_loop_that_fails_while_it_is_ended_does_not_begin_again() -> None:
    begun, started = 0, asyncio.Event()

    async def loop() -> None:
        nonlocal begun
        begun += 1
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("a folder cannot be deleted")

    async def scenario() -> None:
        task = asyncio.create_task(workflow._forever("comparison", loop))
        await started.wait()
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=5)
        task.cancel()
        assert done == {task} and begun == 1

    asyncio.run(scenario())
