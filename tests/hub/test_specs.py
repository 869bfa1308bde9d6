"""Spec files become runs, on real files and a real log; only what a preflight finds is given (SPEC-3, SPEC-4)."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.application.spec_folder import SpecFolder
from aegis_tui.application.spec_text import load_spec
from aegis_tui.domain.command import AnyCommand
from aegis_tui.domain.decision import THE_PERSON, Actor
from aegis_tui.domain.event import Event
from aegis_tui.domain.run.commands import RunStart
from aegis_tui.domain.run.events import RunFacts
from aegis_tui.domain.spec.commands import SpecRescan
from aegis_tui.errors import ModelUnavailable, UsageError
from aegis_tui.hub import spec_runs, specs
from aegis_tui.hub.engine import Engine
from aegis_tui.hub.specs import SpecService
from aegis_tui.sdk.discovery import WorkspacePaths
from tests.hub.opened import opened

TEXT = "# mine\nid: {name}\nstatus: {status}   # why\nmetadata:\n  title: x\n"
FACTS = RunFacts(workspace="k", base_oid="0" * 40, base_branch="main", qa_commands=("pytest",))


async def read_nothing(ranges: Sequence[tuple[str, str]]) -> bytes:
    return b""


class Desk:
    """A service with its folder, and what the log has of it."""

    def __init__(self, root: Path) -> None:
        self.root, self.runs = root, 0
        self.error: Exception | None = None
        self.engine: Engine
        self.service = SpecService(SpecFolder(root), self.prepare, dict, read_nothing)

    def prepare(self, command: AnyCommand, actor: Actor) -> Awaitable[AnyCommand]:
        async def filled() -> AnyCommand:
            assert isinstance(command, RunStart)
            if self.error:
                raise self.error
            self.runs += 1
            return command.model_copy(update={"run": f"run{self.runs}", "facts": FACTS})

        return filled()

    def put(self, name: str, status: str = "approved") -> Path:
        path = self.root / ".agents/specs/active" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TEXT.format(name=name, status=status))
        return path

    async def rescan(self, spec_id: str | None = None) -> dict[str, Any]:
        filled = self.service.prepare(SpecRescan(spec_id=spec_id), THE_PERSON)
        assert filled is not None
        command = await filled
        return dict(await self.engine.submit(command, THE_PERSON))

    async def events(self, kind: str) -> list[Event]:
        return [event for event in await self.engine.events(0, 1000) if event.type == kind]

    async def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(2000):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise TimeoutError


@asynccontextmanager
async def at_desk(paths: WorkspacePaths, root: Path) -> AsyncIterator[Desk]:
    desk = Desk(root)
    desk.engine, _ = await opened(paths)
    await desk.service.start(desk.engine, paths)
    try:
        yield desk
    finally:
        await desk.service.stop()
        await desk.engine.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spec_runs, "SETTLE_S", 0.0)
    monkeypatch.setattr(specs, "LOOK_S", 0.02)


def status_of(path: Path) -> str:
    return load_spec(path).spec.status


def test_many_pings_at_once_and_a_folder_that_is_stirred_give_one_run(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def main() -> None:
        async with at_desk(paths, tmp_path) as desk:
            path = desk.put("a")
            for _ in range(5):
                await asyncio.gather(*(desk.rescan(name) for name in (None, "a", None, "a")))
                path.touch()
            await desk.until(lambda: status_of(path) == "planning")
            assert len(await desk.events("run:started")) == 1
            created = [event.data.model_dump() for event in await desk.events("specs.created")]
            assert [data["specId"] for data in created if data["run"] is None] == ["a"]
            assert "# mine\n" in path.read_text() and "# why" in path.read_text()

    asyncio.run(main())


def test_a_new_hub_goes_on_and_starts_nothing_twice(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def first() -> None:
        async with at_desk(paths, tmp_path) as desk:
            desk.put("a")
            await desk.until(lambda: status_of(tmp_path / ".agents/specs/active/a.yaml") == "planning")

    async def second() -> None:
        async with at_desk(paths, tmp_path) as desk:
            reply = await desk.rescan()
            assert [(item["status"], item["run"]) for item in reply["specs"]] == [("planning", "run1")]
            await desk.rescan()
            assert len(await desk.events("run:started")) == 1

    asyncio.run(first())
    asyncio.run(second())


def test_what_is_missing_for_all_is_waited_for(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def main() -> None:
        async with at_desk(paths, tmp_path) as desk:
            desk.error = ModelUnavailable("no model server answers", "start one")
            path = desk.put("a")
            (tmp_path / ".agents/specs/active/b.yaml").write_text("id: b\n")
            reply = await desk.rescan()
            assert [row["spec"] for row in reply["problems"]] == ["a", "b"]
            assert reply["problems"][0]["reason"] == "no model server answers" and status_of(path) == "approved"
            assert desk.engine.peek(lambda state: state.specs.by_id["a"].waits) == "no model server answers"
            for _ in range(3):
                await desk.rescan()
            told = [event.data.model_dump()["waits"] for event in await desk.events("specs.updated")]
            assert told == ["no model server answers"]
            desk.error = None
            assert [row["spec"] for row in (await desk.rescan())["problems"]] == ["b"]
            await desk.until(lambda: status_of(path) == "planning")
            with pytest.raises(UsageError):
                await desk.rescan("none")

    asyncio.run(main())


def test_a_spec_that_nobody_filled_in_waits_and_the_next_one_starts(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def main() -> None:
        async with at_desk(paths, tmp_path) as desk:
            odd = SpecFolder(tmp_path).create("Pay", template="feature", author="me", now=datetime.now(UTC))
            odd.write_text(odd.read_text().replace("status: draft", "status: approved").replace("medium", "critical"))
            path = desk.put("a")
            await desk.until(lambda: status_of(path) == "planning")
            (problem,) = (await desk.rescan())["problems"]
            assert problem["spec"] == odd.stem and "metadata.description: still has" in problem["reason"]
            assert status_of(odd) == "approved"

    asyncio.run(main())


def test_a_status_that_may_not_follow_is_set_back_with_the_reason(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def main() -> None:
        async with at_desk(paths, tmp_path) as desk:
            path = desk.put("a", "draft")
            await desk.rescan()
            path.write_text(path.read_text().replace("status: draft", "status: completed"))
            await desk.until(lambda: status_of(path) == "draft")
            (entry,) = load_spec(path).spec.changeLog
            assert entry.change.startswith("status completed was refused: ")
            path.write_text(path.read_text().replace("status: draft", "status: review"))
            await desk.until(lambda: desk.engine.peek(lambda workspace: workspace.specs.by_id["a"].status) == "review")

    asyncio.run(main())


def test_a_run_ends_when_its_spec_is_cancelled_in_the_file(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def main() -> None:
        async with at_desk(paths, tmp_path) as desk:
            path = desk.put("a")
            await desk.until(lambda: status_of(path) == "planning")
            path.write_text(path.read_text().replace("status: planning", "status: cancelled"))
            await desk.until(lambda: desk.engine.peek(lambda state: not state.runs.by_id["run1"].is_open))
            assert desk.engine.peek(lambda state: state.specs.by_id["a"].status) == "cancelled"

    asyncio.run(main())


def test_edits_by_a_person_and_by_the_hub_lose_neither(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def main() -> None:
        async with at_desk(paths, tmp_path) as desk:
            path = desk.put("a", "draft")
            done = threading.Event()

            def write() -> None:
                for number in range(40):
                    with path.open("a") as file:  # waits while the program exchanges the file
                        file.write(f"# note {number}\n")
                done.set()

            writer = threading.Thread(target=write)
            writer.start()
            while not done.is_set():
                await desk.rescan()
            writer.join()
            SpecFolder(tmp_path).move("a", "approved", by="person", author="me", now=datetime.now(UTC))
            await desk.until(lambda: status_of(path) == "planning")
            assert [f"# note {number}" in path.read_text() for number in range(40)] == [True] * 40

    asyncio.run(main())


def test_specs_with_other_files_share_a_run_and_one_that_cannot_be_started_stands_back(
    paths: WorkspacePaths, tmp_path: Path
) -> None:
    async def main() -> None:
        active = tmp_path / ".agents/specs/active"
        active.mkdir(parents=True)
        for name, files, needs in (("a", "a.py", ""), ("b", "b.py", "a"), ("c", "a.py", ""), ("d", "d.py", "")):
            task = f"tasks:\n  - {{id: T1, title: t, files: [{files}]}}\ndependencies: [{needs}]\n"
            (active / f"{name}.yaml").write_text(TEXT.format(name=name, status="approved") + task)
        async with at_desk(paths, tmp_path) as desk:
            await desk.until(lambda: {status_of(active / f"{name}.yaml") for name in "abd"} == {"planning"})
            specs = desk.engine.peek(lambda state: dict(state.specs.by_id))
            assert {specs[name].by_run for name in "abd"} == {"run1"} and specs["c"].by_run is None
            run = desk.engine.peek(lambda state: state.runs.by_id["run1"])
            assert run.options.partial and run.pieces["b"].depends_on == ("a",)
            assert status_of(active / "c.yaml") == "approved"

    asyncio.run(main())


def test_an_unexpected_fault_is_logged_and_the_watch_goes_on(
    paths: WorkspacePaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(specs, "_RETRY_S", 0.05)

    async def main() -> None:
        async with at_desk(paths, tmp_path) as desk:
            desk.error = ValueError("of a defect")
            path = desk.put("a")
            await desk.until(lambda: "ValueError: of a defect" in caplog.text)
            desk.error = None
            await desk.until(lambda: status_of(path) == "planning")

    asyncio.run(main())


def test_a_problem_is_logged_once_while_it_lasts(
    paths: WorkspacePaths, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with at_desk(paths, tmp_path) as desk:
            own = desk.put("a", "draft")
            cycle = desk.put("b", "draft")
            own.write_text(own.read_text() + "dependencies: [b]\n")
            await desk.rescan()
            cycle.write_text(cycle.read_text() + "dependencies: [a]\n")
            for _ in range(3):
                assert [row["spec"] for row in (await desk.rescan())["problems"]] == ["b"]
            cycle.write_text("id: [\n")
            await desk.until(lambda: "b" in desk.service._scan.problems)
            await asyncio.sleep(0.1)
            cycle.unlink()
            assert (await desk.rescan())["problems"] == []
            (own.parent.parent / "a.yaml").write_text("")
            for _ in range(3):
                with pytest.raises(UsageError, match="two files"):
                    await desk.rescan()
                await asyncio.sleep(0.1)
            warned = [record.getMessage() for record in caplog.records]
            assert sorted(warned) == [
                "a file is not a valid spec",
                "a spec was not registered",
                "specs were not read",
            ]

    asyncio.run(main())


def test_no_file_ends_the_watch(paths: WorkspacePaths, tmp_path: Path) -> None:
    async def main() -> None:
        async with at_desk(paths, tmp_path) as desk:
            active = desk.put("a", "draft").parent
            (active / "kind.yaml").write_text(TEXT.format(name="kind", status="approved") + "agents: ['']\n")
            (active / "long.yaml").write_text(
                TEXT.format(name="long", status="approved").replace("title: x", f"title: {'x' * 300_000}")
            )
            odd = [active / f"{'n' * 220}.yaml", Path(os.fsdecode(os.fsencode(active) + b"/\xff.yaml"))]
            for path in odd:
                path.write_text("id: x\n")
            problems = {row["spec"]: row["reason"] for row in (await desk.rescan())["problems"]}
            assert "agents[0]: must not be empty" in problems["kind"] and "metadata.title" in problems["long"]
            assert len(problems) == 4 and all(text.encode() for pair in problems.items() for text in pair)
            for path in odd:
                path.unlink()
            await desk.until(lambda: len(desk.service._scan.problems) == 2)
            (active / "big.yaml").write_text(
                TEXT.format(name="big", status="approved") + f"  description: {'x' * 300_000}\n"
            )
            await desk.until(lambda: status_of(active / "big.yaml") in ("planning", "failed"))
            assert [row["spec"] for row in (await desk.rescan())["problems"]] == ["kind", "long"]

    asyncio.run(main())


def test_it_ends_although_it_is_woken_in_the_same_moment(
    paths: WorkspacePaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(specs, "LOOK_S", 60.0)

    async def main() -> None:
        async with at_desk(paths, tmp_path) as desk:
            await desk.rescan()
            await asyncio.sleep(0.2)  # it waits for the next look now
            desk.service._wake.set()
            await asyncio.sleep(0)
            await asyncio.wait_for(desk.service.stop(), 20)

    asyncio.run(main())
