"""The hub has shadow tags made only while it is idle, and only if the person names a model (MAP-4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.errors import StoreError, UsageError
from aegis_tui.hub.map_tags import MapTagService, Pauses
from aegis_tui.ports.code_map import WorkspaceFolders
from aegis_tui.ports.map_tags import TagReport, TagWish
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress, HubQuick

WISH = TagWish("tiny", 9, 99)
AT_ONCE = Pauses(0.01, 0.01, 0.01)


class Rounds:
    """Answers with the reports that it was given; the last round does not end by itself."""

    def __init__(self, *reports: TagReport | StoreError) -> None:
        self.reports = list(reports)
        self.made: list[Path] = []
        self.ended = 0
        self.begun = asyncio.Event()

    async def make(self, wish: TagWish, root: Path, paths: WorkspaceFolders) -> TagReport:
        assert wish == WISH
        self.made.append(root)
        if self.reports:
            report = self.reports.pop(0)
            if isinstance(report, StoreError):
                raise report
            return report
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1
        raise AssertionError


def agent_at_work(address: HubAddress) -> HubQuick:
    reply = HubQuick(address).command("agent:register", agent_type="CLAUDE", instance_id="one")
    agent = HubQuick.at(f"unix:{address.socket}", Path(reply["token_file"]).read_text())
    agent.command("agent:report", state="implementing")
    return agent


async def until(is_so: Callable[[], bool]) -> None:
    for _ in range(6_000):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never became so")


def test_rounds_follow_each_other_and_an_error_ends_only_its_own(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def main() -> None:
        rounds = Rounds(TagReport(8, False, ""), StoreError("damaged", ""), TagReport(0, False, "no such model"))
        service = MapTagService(tmp_path, rounds, lambda: WISH, AT_ONCE)
        async with open_hub(paths, port=0, services=[service]):
            await until(rounds.begun.is_set)
            assert rounds.made == [tmp_path] * 4
        assert rounds.ended == 1

    asyncio.run(main())


def test_an_agent_that_begins_to_work_ends_the_round_and_none_begins_meanwhile(
    paths: WorkspacePaths, tmp_path: Path
) -> None:
    async def main() -> None:
        rounds = Rounds()
        service = MapTagService(tmp_path, rounds, lambda: WISH, AT_ONCE)
        async with open_hub(paths, port=0, services=[service]) as (address, _):
            await until(rounds.begun.is_set)
            agent = await asyncio.to_thread(agent_at_work, address)
            await until(lambda: rounds.ended > 0)
            seen = len(rounds.made)
            await asyncio.sleep(0.2)
            assert len(rounds.made) == rounds.ended == seen
            rounds.begun.clear()
            await asyncio.to_thread(agent.command, "agent:report", state="idle")
            await until(rounds.begun.is_set)

    asyncio.run(main())


def test_a_stop_while_a_round_is_ended_is_not_lost(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def main() -> None:
        ending, may_end = asyncio.Event(), asyncio.Event()

        class Slow(Rounds):
            """Takes a while to end, as a process does."""

            async def make(self, wish: TagWish, root: Path, paths: WorkspaceFolders) -> TagReport:
                try:
                    return await super().make(wish, root, paths)
                finally:
                    ending.set()
                    while not may_end.is_set():
                        with suppress(asyncio.CancelledError):
                            await may_end.wait()

        rounds = Slow()
        service = MapTagService(tmp_path, rounds, lambda: WISH, AT_ONCE)
        async with open_hub(paths, port=0, services=[service]) as (address, _):
            await until(rounds.begun.is_set)
            await asyncio.to_thread(agent_at_work, address)
            await ending.wait()
            stopped = asyncio.create_task(service.stop())
            await asyncio.sleep(0.01)
            assert not stopped.done()
            may_end.set()
            await stopped
        assert len(rounds.made) == 1

    asyncio.run(main())


def test_without_a_model_or_with_wrong_settings_nothing_is_made(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def main() -> None:
        asked = 0

        def find_wish() -> TagWish | None:
            nonlocal asked
            asked += 1
            if asked == 1:
                raise UsageError("wrong", "")
            return None

        rounds = Rounds()
        async with open_hub(paths, port=0, services=[MapTagService(tmp_path, rounds, find_wish, AT_ONCE)]):
            await until(lambda: asked > 3)
        assert rounds.made == []

    asyncio.run(main())
