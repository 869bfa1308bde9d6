"""Globs are compared in a thread first: the hub answers meanwhile, and what costs too much never reaches its writer."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.domain.glob.overlap import _pattern_witness
from aegis_tui.domain.scope.reservation import free_overlaps
from aegis_tui.sdk.discovery import WorkspacePaths
from tests.hub.opened import opened

pytestmark = pytest.mark.anyio

TOO_COSTLY = ["{a,b,c,d}{a*,b?,c,d}{a,b,c,d}{a,b*,c,d}" + str(number) for number in range(4)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def register(name: str, globs: list[str], **more: Any) -> dict[str, Any]:
    return {"type": "agent:register", "agent_type": "CLAUDE", "instance_id": name, "partition": globs, **more}


async def test_what_costs_too_much_is_refused_before_the_writer_hears_of_it(paths: WorkspacePaths) -> None:
    engine, ingress = await opened(paths)
    try:
        await ingress.answer(register("first", TOO_COSTLY[:1]), THE_PERSON)
        decided = engine.commands
        reply, error = await ingress.answer(register("second", TOO_COSTLY[1:] * 6), THE_PERSON)
        assert error is not None and reply["error"]["code"] == "glob.effort"
        assert "simplify: fewer wildcards" in reply["error"]["hint"]
        assert engine.commands == decided
    finally:
        await engine.close()


async def test_the_writer_finds_every_pair_known(paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    compare = free_overlaps

    def noting(*fields: Any) -> Any:
        threads.append(threading.current_thread())
        return compare(*fields)

    monkeypatch.setattr("aegis_tui.domain.rehearsal.free_overlaps", noting)
    engine, ingress = await opened(paths)
    try:
        await ingress.answer(register("first", ["*[ab]" * 60]), THE_PERSON)
        _, error = await ingress.answer(register("second", ["*[cd]" * 60]), THE_PERSON)
        assert error is None
        assert len(threads) == 2 and threading.main_thread() not in threads
        before = _pattern_witness.cache_info()
        _, error = await ingress.answer(register("second", ["*[cd]" * 60]), THE_PERSON)
        after = _pattern_witness.cache_info()
        assert error is None
        assert (after.misses, after.hits > before.hits) == (before.misses, True)
    finally:
        await engine.close()


async def test_nothing_is_compared_for_one_who_may_not_ask(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[object] = []
    monkeypatch.setattr("aegis_tui.domain.rehearsal.free_overlaps", lambda *fields: compared.append(fields))
    engine, ingress = await opened(paths)
    try:
        await ingress.answer(register("first", ["src/**"]), THE_PERSON)
        compared.clear()
        wish = {"type": "partition:set", "agent_id": "CLAUDE-first", "globs": TOO_COSTLY}
        reply, _ = await ingress.answer(wish, Actor("CLAUDE-first", "instance"))
        assert (reply["error"]["code"], compared) == ("person.only", [])
    finally:
        await engine.close()


async def test_a_retry_of_what_was_granted_is_not_refused_for_its_cost(paths: WorkspacePaths) -> None:
    engine, ingress = await opened(paths)
    try:
        asked = register("first", ["src/**"], request_id="r1")
        first, _ = await ingress.answer(asked, THE_PERSON)
        again, error = await ingress.answer({**asked, "partition": TOO_COSTLY * 6}, THE_PERSON)
        assert error is None and again["session"] == first["session"]
    finally:
        await engine.close()


async def test_rehearsals_leave_the_state_as_it_is(paths: WorkspacePaths) -> None:
    engine, ingress = await opened(paths)
    try:
        await ingress.answer(register("first", ["src/**"]), THE_PERSON)
        table = await engine.read(lambda workspace: workspace.partitions.copy())
        table.set("CLAUDE-other", ["docs/**"])
        table.grant("CLAUDE-first", "x.md")
        kept = await engine.read(lambda workspace: workspace.partitions.dump())
        assert kept["partitions"] == {"CLAUDE-first": ["src/**"]} and not kept["grants"]
    finally:
        await engine.close()
