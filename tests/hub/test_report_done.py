"""A hosted program that reports its work as done leaves the submission to its wrapper, which commits first (FLOW-7)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.mcp_server import AgentServer
from aegis_tui.sdk.notice_box import NoticeBox
from aegis_tui.sdk.tools import Tools
from tests.hub.effects import Run
from tests.hub.test_mcp import DESIGN


def test_the_wrapper_of_a_program_submits_once_its_turn_is_over(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine):
            run, box = Run(engine), NoticeBox(tmp_path / "box")
            await run.start()
            commander = await run.bring_up("NATIVE-c01")
            async with EnsembleClient(f"unix:{address.socket}", token=commander) as client:
                await client.command("design:propose", design=DESIGN)
            worker = await run.bring_up("NATIVE-w01")
            async with EnsembleClient(f"unix:{address.socket}", token=worker) as client:
                tools = Tools(client.command, lambda: "NATIVE-w01", box=box)
                before = engine.last_seq
                done = await tools.report_done("feat: add x", head_oid="1" * 40)
                assert done.at_end_of_turn and done.handed_in is None
                assert engine.last_seq == before, "the hub was told nothing"
                assert (box.take_submission(), box.take_submission()) == ("feat: add x", None)

    asyncio.run(main())


def test_the_wrapper_knows_when_its_program_has_the_list_of_tools(tmp_path: Path) -> None:
    async def nothing(command_type: str, /, **fields: object) -> dict[str, object]:
        raise AssertionError(command_type)

    box = NoticeBox(tmp_path / "box")
    server = AgentServer(Tools(nothing, lambda: "NATIVE-w01"), lambda: "worker", on_listed=box.mark_tools_listed)
    seen = []
    for change in (box.unmark_tools_listed, lambda: asyncio.run(server.list_tools()), box.unmark_tools_listed):
        change()
        seen.append(box.has_listed_tools)
    assert seen == [False, True, False]
