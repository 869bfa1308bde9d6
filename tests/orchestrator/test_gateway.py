"""The gateway follows the state of the hub, and a gateway that cannot start harms nothing (LLM-10)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aegis_tui.domain.decision import THE_PERSON
from aegis_tui.domain.run.commands import RunStart
from aegis_tui.domain.run.events import RunFacts, RunOptions
from aegis_tui.errors import AegisError, Unavailable, UsageError
from aegis_tui.hub.engine import Engine
from aegis_tui.orchestrator import gateway
from aegis_tui.orchestrator.gateway import GatewayKeeper, UsualEndpoint
from aegis_tui.sdk.clock import SystemClock
from aegis_tui.testing.failing import Failing
from aegis_tui.testing.memory_log import MemoryLog
from aegis_tui.testing.memory_machine import MemoryGateway

USUAL = UsualEndpoint("http://127.0.0.1:2/v1", "small")


class Desk:
    """An engine and the keeper of its gateway."""

    def __init__(self) -> None:
        self.engine = Engine(MemoryLog(), SystemClock())
        self.gateway = MemoryGateway()
        self.faults = Failing(self.gateway)
        self.endpoint: UsualEndpoint | AegisError = USUAL
        self.keeper = GatewayKeeper(
            self.faults,
            self.engine,
            find_endpoint=self._find,
            hash_joined=lambda agent_id, session: f"{agent_id} {session}",
        )

    def _find(self) -> UsualEndpoint:
        if isinstance(self.endpoint, AegisError):
            raise self.endpoint
        return self.endpoint

    async def join(self, name: str) -> str:
        fields = {"type": "agent:register", "agent_type": "CLAUDE", "instance_id": name}
        reply = await self.engine.submit(fields, THE_PERSON)
        return f"CLAUDE-{name} {reply['session']}"

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while True:
                await asyncio.sleep(0.005)
                if condition():
                    return

    def play(self, act: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            await self.engine.open()
            keeping = asyncio.create_task(self.keeper.run())
            try:
                await act()
                assert not keeping.done()
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
                await self.engine.close()

        asyncio.run(main())

    @property
    def served(self) -> tuple[Any, ...]:
        return self.gateway.served or ("", None, {})


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(gateway, "FIRST_PAUSE_S", 0.01)
    return Desk()


def test_it_runs_without_a_run_and_knows_who_joins_and_who_leaves(desk: Desk) -> None:
    async def act() -> None:
        await desk.until(lambda: desk.served == (*USUAL[:2], {}))
        token_hash = await desk.join("one")
        await desk.until(lambda: desk.served[2] == {token_hash: "CLAUDE-one"})
        other = await desk.join("two")
        await desk.engine.submit({"type": "instance:stop", "agent_id": "CLAUDE-one"}, THE_PERSON)
        await desk.until(lambda: desk.served[2] == {other: "CLAUDE-two"})

    desk.play(act)


def test_many_changes_in_a_row_are_served_together_and_none_is_missed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "_ACCESS_S", 0.5)
    monkeypatch.setattr(gateway, "CHECK_S", 600.0)

    async def act() -> None:
        await desk.until(lambda: desk.gateway.times)
        hashes = [await desk.join(f"a{number}") for number in range(30)]
        await desk.until(lambda: set(desk.served[2]) == set(hashes))
        assert desk.gateway.times < 30

    desk.play(act)


def test_a_run_brings_its_own_endpoint_and_keeps_who_was_connected(desk: Desk) -> None:
    async def act() -> None:
        token_hash = await desk.join("one")
        facts = RunFacts(workspace="k", base_oid="0" * 40, base_branch="main", qa_commands=(), model="big")
        options = RunOptions(base_url="http://127.0.0.1:3/v1")
        await desk.engine.submit(RunStart(goal="g", options=options, run="run1", facts=facts), THE_PERSON)
        await desk.until(lambda: desk.served == ("http://127.0.0.1:3/v1", "big", {token_hash: "CLAUDE-one"}))

    desk.play(act)


def test_a_gateway_that_cannot_start_is_reported_and_tried_again(desk: Desk) -> None:
    async def act() -> None:
        seen = set()

        def serves() -> bool:
            seen.add(desk.gateway.problem)
            return desk.served == (*USUAL[:2], {})

        await desk.until(serves)
        assert {"the gateway did not start:; no port", "disk full"} <= seen
        await desk.until(lambda: desk.gateway.problem is None)

    problem = Unavailable("the gateway did not start:\nno port", code="gateway.unavailable")
    desk.faults.fail("serve", problem, OSError("disk full"), problem)
    desk.play(act)


def test_how_much_is_stored_of_calls_follows_the_settings_and_wrong_ones_delete_nothing(desk: Desk) -> None:
    def kept_mb() -> int | None:
        return desk.gateway.plan.kept_mb if desk.gateway.plan else 0

    async def act() -> None:
        await desk.until(lambda: kept_mb() == 7)
        desk.endpoint = UsageError("'x' is not a URL", "write it right")
        await desk.keeper.serve()
        assert kept_mb() is None

    desk.endpoint = USUAL._replace(kept_mb=7)
    desk.play(act)


def test_wrong_settings_leave_a_gateway_without_a_model_that_says_so(desk: Desk) -> None:
    async def act() -> None:
        await desk.until(lambda: desk.gateway.problem)
        assert (desk.served, desk.gateway.problem) == (("", None, {}), "'x' is not a URL")

    desk.endpoint = UsageError("'x' is not a URL", "write it right")
    desk.play(act)


def test_an_older_state_never_follows_a_newer_one(desk: Desk) -> None:
    async def act() -> None:
        await desk.until(lambda: desk.gateway.served)
        slow = asyncio.Event()
        serve = desk.gateway.serve

        async def late(*wanted: Any, **more: Any) -> None:
            await slow.wait()
            await serve(*wanted, **more)

        desk.gateway.serve = late  # type: ignore[method-assign]  # a start that takes long
        first = asyncio.create_task(desk.keeper.serve())
        await asyncio.sleep(0)
        token_hash = await desk.join("one")
        second = asyncio.create_task(desk.keeper.serve())
        slow.set()
        await asyncio.gather(first, second)
        assert desk.served[2] == {token_hash: "CLAUDE-one"}

    desk.play(act)
