"""Partitions that the code map suggests, put into the text of a design by a key (PART-4)."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from textual.pilot import Pilot
from textual.widgets import TextArea

from aegis_tui.adapters.code_map.child import ChildMap
from aegis_tui.application.design import dump_design, parse_design
from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.domain.event import Event
from aegis_tui.domain.run.design import Design
from aegis_tui.domain.wire.reply import AnyReply
from aegis_tui.hub.code_map import CodeMapService
from aegis_tui.hub.run import HubService
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress, HubQuick
from aegis_tui.tui.app import AegisApp
from aegis_tui.tui.recorded import RecordedHub
from tests.repository import make_repository
from tests.tui.pilot import open_design, screen_text, to_the_end, until

Record = Callable[..., Any]
SHOP = {
    "src/shop/search.py": "import catalog\n\n\ndef search(): ...\n",
    "src/shop/catalog.py": "def items(): ...\n",
    "src/shop/receipt.py": "import money\n\n\ndef receipt(): ...\n",
    "src/shop/money.py": "def cents(): ...\n",
}


def parts(count: int) -> dict[str, Any]:
    """A suggestion as the hub gives it."""
    rows = [{"name": f"p{number}", "globs": [f"p{number}/**"], "reason": ""} for number in range(count)]
    return {"parts": rows, "outside": [], "imports": 0, "cut": 0}


class MapHub(RecordedHub):
    """A recorded session whose questions to the code map go to a real hub."""

    def __init__(self, events: Sequence[Event], address: HubAddress) -> None:
        super().__init__(events)
        self._address = address

    async def command(self, command_type: str, **fields: Any) -> AnyReply:
        if command_type != "map:ask":
            return await super().command(command_type, **fields)
        reply = await asyncio.to_thread(HubQuick(self._address).command, command_type, **fields)
        return cast(AnyReply, reply)


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[WorkspacePaths]:
    """The folders of a workspace; the runtime folder is short, for the sockets."""
    with tempfile.TemporaryDirectory(prefix="ah", dir="/tmp") as runtime:
        yield WorkspacePaths("0123456789ab", tmp_path / "state", Path(runtime) / "k")


async def open_text(pilot: Pilot[int], app: AegisApp) -> TextArea:
    """Open the proposed design and then its text, by keys."""
    await open_design(pilot, app)
    await pilot.press("2")
    return app.screen.query_one("#text", TextArea)


@to_the_end
async def test_a_key_puts_suggested_partitions_into_the_text_and_another_takes_them_back(
    record: Record, paths: WorkspacePaths, tmp_path: Path
) -> None:
    scene = record("proposed")
    root = make_repository(tmp_path / "repo", SHOP)
    async with open_hub(paths, port=0, services=[CodeMapService(root, ChildMap())]) as (address, _):
        scene.hub = MapHub(scene.events, address)
        app = scene.app()
        async with app.run_test(size=(160, 48), notifications=True) as pilot:
            await open_design(pilot, app)
            await pilot.press("ctrl+g")
            assert not [words for words in ("suggest", "asked") if words in screen_text(app)]
            await pilot.press("2")
            text = app.screen.query_one("#text", TextArea)
            before = text.text
            await pilot.press("ctrl+g")
            await until(pilot, lambda: "partitions were suggested" in screen_text(app))
            assert any("one part to another: 0 of 2" in note.message for note in app._notifications)
            features = parse_design(text.text).features
            assert [feature.partition for feature in features] == [
                ("src/shop/catalog.py", "src/shop/search.py"),
                ("src/shop/money.py", "src/shop/receipt.py"),
            ]
            assert "\n  # " in text.text
            await until(pilot, lambda: "no partitions overlap" in screen_text(app))
            await pilot.press("ctrl+z")
            assert text.text == before


@to_the_end
@pytest.mark.parametrize(
    ("files", "has_map", "words"),
    [
        ({"README.md": "# a\n"}, True, "no source files that can be divided"),
        ({"shop.py": "x = 1\n"}, True, "1 feature got no new partition"),
        ({"shop.py": "x = 1\n"}, False, "this hub has no code map"),
    ],
)
async def test_too_few_files_and_a_missing_map_are_told_calmly(
    record: Record, paths: WorkspacePaths, tmp_path: Path, files: dict[str, str], has_map: bool, words: str
) -> None:
    scene = record("proposed")
    root = make_repository(tmp_path / "repo", files)
    services: list[HubService] = [CodeMapService(root, ChildMap())] if has_map else []
    async with open_hub(paths, port=0, services=services) as (address, _):
        scene.hub = MapHub(scene.events, address)
        app = scene.app()
        async with app.run_test(size=(160, 48), notifications=True) as pilot:
            text = await open_text(pilot, app)
            before = text.text
            await pilot.press("ctrl+g")
            await until(pilot, lambda: words in screen_text(app))
            assert (text.text == before) == ("1 feature" not in words)


@to_the_end
async def test_without_a_hub_the_text_stays_and_the_next_step_is_told(record: Record) -> None:
    scene = record("proposed")
    app = scene.app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        text = await open_text(pilot, app)
        before = text.text
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "this log is a recording" in screen_text(app))
        assert text.text == before


@to_the_end
async def test_what_is_typed_before_the_answer_comes_is_not_replaced(record: Record) -> None:
    scene = record("proposed")
    asked, go = asyncio.Event(), asyncio.Event()

    class Slow(RecordedHub):
        async def command(self, command_type: str, **fields: Any) -> AnyReply:
            asked.set()
            await go.wait()
            return cast(AnyReply, {"answer": parts(1)})

    scene.hub = Slow(scene.events)
    app = scene.app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        text = await open_text(pilot, app)
        await pilot.press("ctrl+g")
        await until(pilot, asked.is_set)
        await pilot.press("X")
        go.set()
        await until(pilot, lambda: "nothing was replaced" in screen_text(app))
        assert text.text.startswith("X")


@to_the_end
async def test_a_design_with_more_features_than_are_suggested_says_so(record: Record) -> None:
    scene = record("proposed")
    asked: list[int] = []

    class Full(RecordedHub):
        async def command(self, command_type: str, **fields: Any) -> AnyReply:
            asked.append(fields["count"])
            return cast(AnyReply, {"answer": parts(fields["count"])})

    scene.hub = Full(scene.events)
    app = scene.app()
    features = [
        {"id": f"f{number}", "title": "t", "brief": "b", "partition": [f"f{number}/**"]} for number in range(52)
    ]
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        text = await open_text(pilot, app)
        text.text = dump_design(Design.model_validate({"goal": "g", "features": features}))
        await pilot.press("ctrl+g")
        words = "no more than 50 are suggested: 2 features got no new partition"
        await until(pilot, lambda: words in " ".join(note.message for note in app._notifications))
    assert asked == [50]
