"""What the app is made of; chosen by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from aegis_tui.config import Settings
from aegis_tui.domain.run.report_model import PastRun, Report
from aegis_tui.errors import UsageError
from aegis_tui.tui.choices import Choices
from aegis_tui.tui.feed import Hub
from aegis_tui.tui.pane_watcher import PaneSource


async def _nothing_unsaved(_worktree: Path, _branch: str) -> list[str]:
    return []


def _no_outputs(_run: str) -> list[str]:
    return []


class History(Protocol):
    """What has ended, as the log and the state folder have it; needs no hub. Blocks: call it in a thread."""

    def runs(self) -> list[PastRun]:
        """Every run, oldest first, as `past_runs` gives them."""
        ...

    def report(self, run: str) -> Report:
        """The report of a run; raises `UsageError` when there is none."""
        ...

    def transcript(self, instance: str) -> Sequence[str]:
        """What an instance showed; raises `UsageError` when nothing is kept of it."""
        ...


class NoHistory:
    """For a recording: nothing has ended before it."""

    def runs(self) -> list[PastRun]:
        """None."""
        return []

    def report(self, run: str) -> Report:
        """None."""
        raise UsageError(f"there is no report of {run}", "open the dashboard itself")

    def transcript(self, instance: str) -> Sequence[str]:
        """None."""
        raise UsageError(f"nothing is kept of {instance}", "open the dashboard itself")


async def _no_endpoint_known(_base_url: str) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Parts:
    """One workspace as the app sees it."""

    root: Path
    """The checkout; its folder's name is shown."""
    branch: str
    """What is checked out there."""
    hub: Hub
    settings: Settings
    environ: Mapping[str, str] = field(default_factory=dict)
    open_terminal: Callable[[], PaneSource] | None = None
    """A new look at the private server; None when there are no panes to look at."""
    unsaved: Callable[[Path, str], Awaitable[list[str]]] = _nothing_unsaved
    """Paths of a worktree that no commit of its branch holds; raises what git refuses."""
    probe: Callable[[str], Awaitable[list[str]]] = _no_endpoint_known
    """Models that an endpoint serves; raises `ModelUnavailable`."""
    qa_outputs: Callable[[str], list[str]] = _no_outputs
    """What the checks of a run's last round printed, as lines; reads files."""
    history: History = field(default_factory=NoHistory)
    """What has ended."""
    choices: Choices = field(default_factory=lambda: Choices(None))
    """What was chosen by keys in earlier sessions."""
    now: Callable[[], datetime] | None = None
    """The wall clock of a recording."""


@dataclass(frozen=True, slots=True)
class GoalOffer:
    """A goal that is typed in already when the app opens."""

    goal: str
    design: Path | None = None
    yes: bool = False
    options: Mapping[str, object] = field(default_factory=dict)
    """More options of the run: base_url, model, role_notes."""
    ends_with_screen: Sequence[str] = ()
    """What is lost when the screen is closed, sentence by sentence; empty where everything goes on."""
    hint: str = ""
    """A line for the bottom of the screen: where to look."""
