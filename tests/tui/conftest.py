from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from aegis_tui.config import Settings
from aegis_tui.domain.event import Event
from aegis_tui.domain.workspace import Workspace
from aegis_tui.tui.app import AegisApp
from aegis_tui.tui.choices import Choices
from aegis_tui.tui.mishap import Mishaps
from aegis_tui.tui.parts import GoalOffer, History, NoHistory, Parts
from aegis_tui.tui.recorded import METERS, RecordedHub, RecordedPanes, load_events, load_panes

DATA = Path(__file__).parent / "data"


@pytest.fixture(autouse=True)
def mishaps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Exception]]:
    """What failed on the screen; a test that expects a failure takes it off the list."""
    seen: list[Exception] = []
    note = Mishaps.note

    def noted(self: Mishaps, error: Exception, place: object) -> bool:
        seen.append(error)
        return note(self, error, place)

    monkeypatch.setattr(Mishaps, "note", noted)
    yield seen
    for error in seen:
        raise error


class Scene:
    """A recorded session up to an event, and the app over it."""

    def __init__(self, events: list[Event], panes: RecordedPanes) -> None:
        self.events, self.panes = events, panes
        self.hub = RecordedHub(events, meters=METERS if events else None)
        last = events[-1].timestamp if events else "2026-01-01T00:00:00Z"
        self.now = datetime.fromisoformat(last) + timedelta(seconds=1)

    def app(
        self,
        *,
        theme: str | None = None,
        layout: str | None = None,
        offer: GoalOffer | None = None,
        environ: Mapping[str, str] | None = None,
        choices: Choices | None = None,
        history: History | None = None,
        qa_outputs: Callable[[str], list[str]] = lambda run: [],
        keys: Mapping[str, str] | None = None,
        diff: str = "",
    ) -> AegisApp:
        async def piece_diff(base_oid: str, head_oid: str) -> str:
            return diff

        parts = Parts(
            root=Path("shop"),
            branch="main",
            hub=self.hub,
            settings=Settings(keys=dict(keys or {})),
            environ=environ or {},
            choices=choices or Choices(None),
            history=history or NoHistory(),
            open_terminal=lambda: self.panes,
            now=lambda: self.now,
            qa_outputs=qa_outputs,
            piece_diff=piece_diff,
        )
        return AegisApp(parts, theme=theme, layout=layout, offer=offer)

    def workspace(self) -> Workspace:
        workspace = Workspace()
        for event in self.events:
            workspace.evolve(event)
        return workspace


Record = Callable[..., Scene]


@pytest.fixture(scope="session")
def logs() -> dict[str, list[Event]]:
    return {name: load_events(DATA / f"{name}.jsonl") for name in ("default", "proposed")}


@pytest.fixture
def record(logs: dict[str, list[Event]]) -> Record:
    def cut(log: str = "default", *, until: int = 100_000, nothing: bool = False) -> Scene:
        events = [] if nothing else [event for event in logs[log] if event.seq <= until]
        return Scene(events, RecordedPanes(load_panes(DATA / "panes.json")))

    return cut
