"""Drafts that wait for the consultant are filled in, on real files; only the consultant's answer is given (ROLE-5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aegis_tui.application.spec_folder import SpecFolder
from aegis_tui.application.spec_text import load_spec
from aegis_tui.domain.spec.document import Spec
from aegis_tui.domain.spec.draft import SpecDraft
from aegis_tui.hub import consulting
from aegis_tui.hub.consulting import ConsultService
from aegis_tui.ports.code_map import WorkspaceFolders
from aegis_tui.ports.consultant import Consulted
from aegis_tui.sdk.discovery import WorkspacePaths
from tests.hub.opened import opened

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DRAFT = SpecDraft.model_validate(
    {
        "description": "More.",
        "requirements": [{"description": "It works.", "criteria": ["It can be seen."]}],
        "tasks": [{"title": "Build", "files": ["src/a.py"]}],
    }
)


class Desk:
    """A consultant that answers when it is let, and what it was asked."""

    def __init__(self, root: Path) -> None:
        self.folder = SpecFolder(root)
        self.answers = [Consulted(DRAFT)]
        self.asked: list[str] = []
        self.most = self._now = 0
        self.let = asyncio.Event()

    async def consult(self, spec: Spec, root: Path, paths: WorkspaceFolders, *, model: str | None) -> Consulted:
        self.asked.append(spec.id)
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await self.let.wait()
        finally:
            self._now -= 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def new(self, text: str = "Pay by card", *, is_consulted: bool = True) -> Path:
        return self.folder.create(text, template="feature", author="Kim", now=NOW, is_consulted=is_consulted)

    async def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(2000):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise TimeoutError


@asynccontextmanager
async def at_desk(paths: WorkspacePaths, root: Path) -> AsyncIterator[Desk]:
    desk = Desk(root)
    engine, _ = await opened(paths)
    service = ConsultService(desk.folder, desk, lambda: (True, None))
    await service.start(engine, paths)
    try:
        yield desk
    finally:
        await service.stop()
        await engine.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consulting, "LOOK_S", 0.02)
    monkeypatch.setattr(consulting, "RETRY_S", 0.0)


def status_of(path: Path) -> str:
    return load_spec(path).spec.status


def test_a_draft_is_filled_in_once_and_waits_for_the_person(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def main() -> None:
        async with at_desk(paths, tmp_path) as desk:
            desk.let.set()
            own, path = desk.new("Mine", is_consulted=False), desk.new()
            before = own.read_text()
            await desk.until(lambda: status_of(path) == "review")
            spec = load_spec(path).spec
            assert (spec.assignedAgent, spec.tasks[0].files) == ("", ("src/a.py",))
            assert spec.metadata.description == "Pay by card\n\nMore."
            assert [entry.author for entry in spec.changeLog] == ["consultant"]
            await asyncio.sleep(0.1)
            assert (desk.asked, own.read_text()) == ([spec.id], before)

    asyncio.run(main())


def test_what_the_person_writes_meanwhile_stays(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def main() -> None:
        async with at_desk(paths, tmp_path) as desk:
            edited, taken = desk.new(), desk.new("Other")
            await desk.until(lambda: len(desk.asked) == 2)
            edited.write_text("# my note\n" + edited.read_text().replace('title: "Pay by card"', "title: Pay now"))
            desk.folder.move(taken.stem, "cancelled", by="person", author="Kim", now=NOW)
            left = taken.read_text()
            desk.let.set()
            await desk.until(lambda: status_of(edited) == "review")
            assert edited.read_text().startswith("# my note\n")
            assert load_spec(edited).spec.metadata.title == "Pay now"
            await asyncio.sleep(0.1)
            assert taken.read_text() == left

    asyncio.run(main())


def test_a_failure_that_may_pass_is_tried_again_and_another_is_written(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def main() -> None:
        async with at_desk(paths, tmp_path) as desk:
            desk.answers = [Consulted(None, "no server", is_final=False), Consulted(None, "nothing \x1b[2J usable")]
            desk.let.set()
            path = desk.new()
            await desk.until(lambda: load_spec(path).spec.assignedAgent == "")
            spec = load_spec(path).spec
            assert (spec.status, len(desk.asked)) == ("draft", 2)
            assert "nothing" in spec.changeLog[-1].change and "\x1b" not in spec.changeLog[-1].change

    asyncio.run(main())


def test_a_problem_is_logged_once_and_an_unexpected_one_asks_no_model_in_a_row(
    paths: WorkspacePaths, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consulting, "RETRY_S", 600.0)

    async def main() -> None:
        async with at_desk(paths, tmp_path) as desk:
            path = desk.new("Mine", is_consulted=False)
            twin = path.parent.parent / path.name
            twin.write_text("")
            await asyncio.sleep(0.3)
            assert [record.getMessage() for record in caplog.records] == ["the drafts could not be read"]
            twin.unlink()
            desk.answers = []  # the consultant fails in a way that nobody foresaw
            desk.let.set()
            desk.new()
            await desk.until(lambda: len(caplog.records) > 1)
            await asyncio.sleep(0.3)
            assert len(desk.asked) == 1
            assert caplog.records[1].getMessage() == "filling in a draft failed unexpectedly"

    asyncio.run(main())


def test_four_at_most_are_asked_at_once_and_a_new_hub_goes_on(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def first() -> None:
        async with at_desk(paths, tmp_path) as desk:
            for _ in range(6):
                desk.new()
            await desk.until(lambda: len(desk.asked) == 4)
            await asyncio.sleep(0.1)
            assert desk.most == 4

    async def second() -> None:
        async with at_desk(paths, tmp_path) as desk:
            desk.let.set()
            await desk.until(
                lambda: all(entry.file.spec.status == "review" for entry in desk.folder.entries() if entry.file)
            )
            assert len(desk.asked) == 6

    asyncio.run(first())
    asyncio.run(second())
