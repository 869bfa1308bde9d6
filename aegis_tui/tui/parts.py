"""What the app gets from outside: the hub, settings, panes, history. `aegis_tui.cli.session` creates it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from aegis_tui.config import Settings
from aegis_tui.domain.instance.belief import SourceReading
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.run.report_model import PastRun, Report
from aegis_tui.domain.wire.run import GivenOptions
from aegis_tui.errors import UsageError
from aegis_tui.tui.choices import Choices
from aegis_tui.tui.feed import Hub
from aegis_tui.tui.pane_watcher import PaneSource

if TYPE_CHECKING:
    from aegis_tui.application.first_use import FirstUse


async def _nothing_unsaved(_worktree: Path, _branch: str) -> list[str]:
    return []


def _no_outputs(_run: str) -> list[str]:
    return []


async def _no_diff(_base_oid: str, _head_oid: str) -> str:
    return ""


class History(Protocol):
    """Past runs and transcripts, read from the log and the state folder without a hub.

    Its methods block; call them in a thread.
    """

    def runs(self) -> list[PastRun]:
        """Return every run that the log still has, oldest first; empty without a log.

        Raises:
            StoreError: The log is damaged, or cannot be read.
        """
        ...

    def report(self, run: str) -> Report:
        """Return the report of a run, by the run's id.

        Raises:
            UsageError: There is none.
            StoreError: The log is damaged, or cannot be read.
            GitUnavailable: git is missing.
            GitError: The run's commit is not in the repository any more.
        """
        ...

    def readings(self, item: Instance) -> list[SourceReading]:
        """Return what the process, title and screen of an instance say about its state now; may be empty."""
        ...

    def transcript(self, instance: str) -> Sequence[str]:
        """Return the lines that an instance, by its id, showed in its pane until its end, or until now.

        Raises:
            UsageError: None are kept, or the id is not valid.
        """
        ...


class NoHistory:
    """A `History` without runs and transcripts: for the dashboard of a recording."""

    def runs(self) -> list[PastRun]:
        """Return an empty list."""
        return []

    def report(self, run: str) -> Report:
        """Raise `UsageError`: a recording has no reports."""
        raise UsageError(f"there is no report of {run}", "open the dashboard itself")

    def readings(self, item: Instance) -> list[SourceReading]:
        """Return an empty list."""
        return []

    def transcript(self, instance: str) -> Sequence[str]:
        """Raise `UsageError`: a recording has no transcripts."""
        raise UsageError(f"there is no transcript of {instance}", "this is a recording; open the dashboard itself")


async def _no_endpoint_known(_base_url: str) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the app gets from outside: settings, and access to the hub, panes and files of one workspace."""

    root: Path
    """The top folder of the checkout; its name is shown."""
    branch: str
    """The branch that is checked out there."""
    hub: Hub
    settings: Settings
    environ: Mapping[str, str] = field(default_factory=dict)
    open_terminal: Callable[[], PaneSource] | None = None
    """Returns a new client of the workspace's private tmux server; None if there are no panes to show."""
    unsaved: Callable[[Path, str], Awaitable[list[str]]] = _nothing_unsaved
    """Takes a worktree and its branch; returns paths with changes that no commit of the branch has.

    Raises an `AegisError` if git fails.
    """
    probe: Callable[[str], Awaitable[list[str]]] = _no_endpoint_known
    """Takes the base URL of a model server; returns the names of its models, or raises `ModelUnavailable`."""
    qa_outputs: Callable[[str], list[str]] = _no_outputs
    """Takes the id of a run; returns the output of the checks of its last QA round, as lines. Reads files."""
    piece_diff: Callable[[str, str], Awaitable[str]] = _no_diff
    """Takes the commits between which a piece lies; returns its diff. Raises an `AegisError` if git fails."""
    history: History = field(default_factory=NoHistory)
    """Past runs and transcripts."""
    choices: Choices = field(default_factory=lambda: Choices(None))
    """Theme and layout that the person chose in earlier sessions."""
    first_use: Callable[[], FirstUse] | None = None
    """Returns what the dialog of a first session works with; None if this is not one."""
    now: Callable[[], datetime] | None = None
    """The clock of a recording; None for the real one."""


@dataclass(frozen=True, slots=True)
class GoalOffer:
    """What the goal dialog contains when it opens, so that the person only has to press Enter."""

    goal: str
    design: Path | None = None
    """A design file."""
    yes: bool = False
    """Whether the box to accept a proposed design without asking is ticked."""
    options: GivenOptions = field(default_factory=lambda: GivenOptions())
    """More options of the run: base_url, model, role_notes."""
    ends_with_screen: Sequence[str] = ()
    """What ends when the screen is closed, in sentences; empty if everything continues."""
    hint: str = ""
    """A hint for the bottom line of the screen."""
    only: str = ""
    """Why no other goal can be given in this session, in a sentence; empty if any can."""


NO_OFFER: Final = GoalOffer("")
"""The offer that leaves the goal dialog empty and has no hint."""
