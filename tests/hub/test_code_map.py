"""The code map through the hub: each sender is told about its own files, as a command and as tools of MCP (MAP-5)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.code_map.child import ChildMap
from aegis_tui.agent.map_questions import ask_map
from aegis_tui.bootstrap import layout
from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.bootstrap.layout import describe_layout, describe_surroundings
from aegis_tui.domain.code_map.commands import MapAsk
from aegis_tui.domain.tool.model import MapArguments
from aegis_tui.errors import HubUnavailable, StoreError, UsageError
from aegis_tui.hub.code_map import CodeMapService
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubQuick
from aegis_tui.testing.memory_hub import MemoryHub, MemoryLink
from tests.hub.test_mcp import join, speak
from tests.repository import make_repository

CODE = "def pay(sum):\n    return check(sum)\n\ndef check(sum):\n    return sum > 0\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo", {"bank.py": CODE})


def test_agents_ask_the_map_with_tools(root: Path, paths: WorkspacePaths) -> None:
    async def main() -> None:
        service = CodeMapService(root, ChildMap())
        async with open_hub(paths, port=0, services=[service]) as (address, engine):
            async with speak(address, await join(address, "one")) as agent:
                seq = engine.last_seq
                found = await agent.call("map_find", name="pay")
                assert [row["line"] for row in found["symbols"]] == [1]
                shown = await agent.call("map_show", place="bank.py:pay", form="body")
                assert (shown["text"], shown["pointers"]) == ("def pay(sum):\n    return check(sum)", ["bank.py:check"])
                callers = await agent.call("map_callers", name="check")
                assert [site["caller"] for site in callers["sites"]] == ["pay"]
                assert "no function or class nothing" in await agent.refused("map_callers", name="nothing")
                assert engine.last_seq == seq
            (root / "bank.py").write_text(f"{CODE}\ndef refund(sum): ...\n")
            ask = HubQuick(address).command
            answer = (await asyncio.to_thread(ask, "map:ask", question="search", about="refund", count=1))["answer"]
            assert answer["symbols"][0]["name"] == "refund"
            assert answer["changed"] == ["bank.py"]

    asyncio.run(main())


def test_only_the_hub_answers_and_only_where_it_has_a_map(root: Path, paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            ask = HubQuick(address).command
            with pytest.raises(UsageError, match="only the hub fills in answer"):
                await asyncio.to_thread(ask, "map:ask", question="find", about="pay", answer={"a": 1})
            with pytest.raises(HubUnavailable, match="no code map"):
                await asyncio.to_thread(ask, "map:ask", question="find", about="pay")

    asyncio.run(main())


def asked(root: Path, paths: WorkspacePaths, **fields: Any) -> dict[str, Any]:
    return asyncio.run(ChildMap().ask(MapAsk(**fields), root, None, paths))


def test_every_question_is_answered_and_long_answers_are_cut(root: Path, paths: WorkspacePaths) -> None:
    (root / "many.py").write_text("from bank import pay\n" + "pay(1)\n" * 150)
    for question in ("find", "callers", "callees", "tests", "search"):
        assert asked(root, paths, question=question, about="pay")["tree"]
    assert len(asked(root, paths, question="impact", about="bank.py")["dependents"]) == 1
    answer = asked(root, paths, question="callers", about="pay")
    assert (len(answer["sites"]), answer["cut"]) == (100, ["sites"])
    assert [at for at, site in enumerate(answer["sites"]) if site["code"]] == [0, 37, 73]


def test_many_suggested_globs_are_not_cut(root: Path, paths: WorkspacePaths) -> None:
    for number in range(120):
        (root / f"{number}.txt").write_text("")
    answer = asked(root, paths, question="partition", about=".", count=1)
    assert answer["cut"] == 0
    assert len([*answer["outside"], *(glob for part in answer["parts"] for glob in part["globs"])]) > 100


def test_a_folder_that_is_no_repository_is_an_error(tmp_path: Path, paths: WorkspacePaths) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(StoreError, match="git"):
        asked(tmp_path / "plain", paths, question="find", about="pay")


@pytest.mark.parametrize(
    ("question", "about", "lines"),
    [
        ("find", "pay", ["bank.py:pay 1-2: def pay(sum)"]),
        ("search", "refund", ["(nothing)"]),
        ("callers", "check", ["bank.py:check 4-5", *CODE.splitlines()[3:], "bank.py:2 in pay", *CODE.splitlines()[:2]]),
        ("callees", "pay", ["bank.py:check 4-5: def check(sum)"]),
        ("impact", "bank.py", ["test_bank.py (test): pay at 4"]),
        ("tests", "bank.py:pay", ["test_bank.py:4 in test_pay: pay"]),
    ],
)
def test_the_built_in_agent_gets_its_answer_in_lines(
    root: Path, paths: WorkspacePaths, question: Any, about: str, lines: list[str]
) -> None:
    (root / "test_bank.py").write_text("from bank import pay\n\ndef test_pay():\n    assert pay(1)\n")

    async def main() -> None:
        async with open_hub(paths, port=0, services=[CodeMapService(root, ChildMap())]) as (address, _):

            class Link(MemoryLink):
                async def command(self, command_type: str, /, **fields: Any) -> dict[str, Any]:
                    del fields["timeout_s"]
                    return await asyncio.to_thread(HubQuick(address).command, command_type, **fields)

            answer = await ask_map(Link(MemoryHub(), "w01"), MapArguments(question=question, about=about))
            assert answer.splitlines() == lines

    asyncio.run(main())


def test_partitions_are_suggested_to_the_person_and_described_to_the_commander(
    root: Path, paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        (root / "shop.py").write_text("import money\n")
        (root / "money.py").write_text("x = 1\n")
        async with open_hub(paths, port=0, services=[CodeMapService(root, ChildMap())]) as (address, _):
            ask = HubQuick(address).command
            fields: dict[str, Any] = {"question": "partition", "about": ".", "count": 2}
            answer = (await asyncio.to_thread(ask, "map:ask", **fields))["answer"]
            assert [part["globs"] for part in answer["parts"]] == [["bank.py"], ["money.py", "shop.py"]]
            async with speak(address, await join(address, "one", role="commander")) as agent:
                told = await agent.call("map_partition", parts=2)
                assert [part["globs"] for part in told["parts"]] == [["bank.py"], ["money.py", "shop.py"]]
                assert told["cut"] == 0
        text = await describe_layout(root, paths, 2)
        assert "- bank (5 lines; " in text and "money.py, shop.py" in text
        assert "  bank.py (5 lines): pay, check" in text.splitlines()
        alone = await describe_layout(root, paths, 1)
        assert alone.splitlines()[0] == text.splitlines()[0] and "- bank (5 lines; " not in alone
        around = await describe_surroundings(root, paths, {"shop": ("shop.py",), "money": ("money.py",)})
        assert around["shop"].splitlines() == ["Your partition imports (signatures):", "money.py"]
        assert around["money"].splitlines()[1:] == ["shop.py"]
        assert await describe_surroundings(root / "nowhere", paths, {"a": ("**",)}) == {}
        assert await describe_layout(root / "nowhere", paths, 2) == ""
        monkeypatch.setattr(layout, "MOST_S", 0.01)
        assert await describe_layout(root, paths, 2) == ""

    asyncio.run(main())
