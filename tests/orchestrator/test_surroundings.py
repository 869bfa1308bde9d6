"""A worker is told what is around its partition if that is known in time; nothing else waits for it (MAP-3)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.run.design import Design, Feature, Foundation
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.workspace import Workspace
from aegis_tui.orchestrator import surroundings as module
from aegis_tui.orchestrator.surroundings import PartitionSurroundings
from tests.failing_run import WORKER, failing_run


def scene() -> tuple[Run, Instance]:
    """Return a run with the piece of a worker, and the worker."""
    workspace = Workspace()
    for event in failing_run("no answer"):
        workspace.evolve(event)
    instance = workspace.get_instance(WORKER)
    assert instance is not None and instance.piece is not None
    feature = Feature(id=instance.piece, title="One", brief="Do it.", partition=("shop/**",))
    foundation = Foundation(brief="Begin.", partition=("base/**",))
    run = workspace.runs.by_id["run1"]
    run.design = Design(goal="a goal", features=(feature,), foundation=foundation)
    return run, instance


def test_all_partitions_of_a_run_are_asked_about_once() -> None:
    run, instance = scene()
    piece = instance.piece or ""
    asked: list[Mapping[str, Sequence[str]]] = []

    async def describe(partitions: Mapping[str, Sequence[str]]) -> dict[str, str]:
        asked.append(partitions)
        return {piece: "around"}

    async def scenario() -> None:
        surroundings = PartitionSurroundings(describe)
        surroundings.begin(run)
        assert await surroundings.text_for(run, instance) == "around"
        assert await surroundings.text_for(run, instance) == "around"
        reviewer = instance.model_copy(update={"task": "review"})
        assert await surroundings.text_for(run, reviewer) == ""

    asyncio.run(scenario())
    assert asked == [{piece: ("shop/**",), "foundation": ("base/**",)}]


def test_an_instance_starts_without_the_text_if_it_is_late_or_cannot_be_made(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, instance = scene()

    async def never(partitions: Mapping[str, Sequence[str]]) -> dict[str, str]:
        await asyncio.Event().wait()
        return {}

    async def broken(partitions: Mapping[str, Sequence[str]]) -> dict[str, str]:
        raise ValueError("no map")

    async def scenario() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(module, "MOST_S", 0.01)
            assert await PartitionSurroundings(never).text_for(run, instance) == ""
        assert await PartitionSurroundings(broken).text_for(run, instance) == ""
        run.design = None
        assert await PartitionSurroundings(broken).text_for(run, instance) == ""

    asyncio.run(scenario())
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ValueError]
