"""The interactive session: what `aegis-tui` opens, without a word, `dashboard` and `demo`.

Knows nothing of Typer: `aegis-tui` alone opens its first frame without importing it (PERF-5).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aegis_tui.cli import output
from aegis_tui.cli.place import Place, here
from aegis_tui.errors import UsageError

if TYPE_CHECKING:
    from aegis_tui.domain.run.report_model import PastRun, Report
    from aegis_tui.tui.app import AegisApp
    from aegis_tui.tui.choices import Choices
    from aegis_tui.tui.fetching import FirstFetch
    from aegis_tui.tui.pane_watcher import PaneSource
    from aegis_tui.tui.parts import GoalOffer, Parts

LOG_BYTES = 1 << 20


def run_plain(arguments: list[str]) -> int | None:
    """Open the dashboard where `aegis-tui` was said without a word; None leaves all else to Typer.

    Raises:
        AegisError: There is no repository, or no terminal.
    """
    return None if arguments else open_dashboard(here(), Look())


@dataclass(frozen=True, slots=True)
class Look:
    """What the flags of one session say; None leaves it to the settings."""

    base_url: str | None = None
    model: str | None = None
    theme: str | None = None
    layout: str | None = None


def open_dashboard(place: Place, look: Look, *, offer: GoalOffer | None = None) -> int:
    """Open the dashboard of a workspace; returns when the person leaves, and what runs goes on.

    The first frame is drawn before the settings are read, so what is wrong with them is said after it.

    Args:
        place: The workspace.
        look: What the flags say.
        offer: A goal that is typed in already.

    Raises:
        UsageError: There is no terminal, no theme or layout of that name, or a setting is wrong.
    """
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise UsageError("the dashboard needs a terminal", "use aegis-tui status, or run it in one")
    gc.disable()  # as for the whole start of the session
    from aegis_tui.tui.session import run_session

    app = _open_app(place, look, offer=offer)
    log_to(place.paths.state_dir / "logs" / "tui.log")
    code = run_session(app)
    if app.refusal is not None:
        raise app.refusal
    for line in app.farewell():
        output.talk(line)
    return app.return_code or code or 0


def log_to(path: Path) -> None:
    """Write what goes wrong into a file, two of 1 MiB at most: the terminal belongs to the screen."""
    import logging.handlers

    from aegis_tui.sdk.rotating_log import FactsFormatter

    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
        handler.setFormatter(FactsFormatter())
        logger = logging.getLogger("aegis_tui")
        logger.addHandler(handler)
        logger.propagate = False


def _open_app(place: Place, look: Look, *, offer: GoalOffer | None) -> AegisApp:
    """The session over a workspace whose parts are made behind its first frame.

    Raises:
        UsageError: There is no such theme or layout.
    """
    from aegis_tui.config_files import peek
    from aegis_tui.tui.app import AegisApp
    from aegis_tui.tui.opening import Opening

    environ = dict(os.environ)
    opening = Opening(
        load=partial(_load_parts, place, look),
        environ=environ,
        choices=_choices(place),
        theme=peek(environ, place.root, "theme"),
        layout=peek(environ, place.root, "layout"),
    )
    return AegisApp(opening, theme=look.theme, layout=look.layout, offer=offer)


def build_app(place: Place, look: Look, *, offer: GoalOffer | None = None) -> AegisApp:
    """The session over a workspace with all its parts.

    Raises:
        UsageError: There is no such theme or layout, or a setting is wrong.
    """
    from aegis_tui.tui.app import AegisApp

    return AegisApp(_parts(place, look), theme=look.theme, layout=look.layout, offer=offer)


def _choices(place: Place) -> Choices:
    from aegis_tui.tui.choices import Choices

    return Choices(place.paths.state_dir.parent / "choices.json")


def _load_parts(place: Place, look: Look) -> Parts:
    """Make the parts, and import what the dashboard is drawn by while the hub is asked for its state."""
    from aegis_tui.tui.fetching import FirstFetch

    first = FirstFetch(place.paths)
    for module in ("desk", "screens.dashboard"):
        importlib.import_module(f"aegis_tui.tui.{module}")
    return _parts(place, look, first=first)


def _parts(place: Place, look: Look, *, first: FirstFetch | None = None) -> Parts:
    """What the session works with. What git, tmux and HTTP need is imported when it is first used.

    Raises:
        UsageError: A setting is wrong.
    """
    from aegis_tui.orchestrator.qa_outputs import QaOutputs
    from aegis_tui.tui.feed import LiveHub
    from aegis_tui.tui.parts import Parts

    environ = dict(os.environ)
    flags = {"base_url": look.base_url, "model": look.model}
    settings = place.settings.model_copy(update={name: value for name, value in flags.items() if value})

    def open_terminal() -> PaneSource:
        # libtmux asks for the encoding of stdout while it is imported; the one of a running screen has none.
        with contextlib.redirect_stdout(sys.__stdout__):
            from aegis_tui.bootstrap.panes import terminal_of

        return terminal_of(place.paths, environ)

    return Parts(
        root=place.root,
        branch=_branch(place.root),
        hub=LiveHub(place.paths, place.root, first=first),
        settings=settings,
        environ=environ,
        history=_History(place),
        choices=_choices(place),
        open_terminal=open_terminal,
        unsaved=partial(_unsaved, place.root),
        probe=_probe,
        qa_outputs=QaOutputs(place.paths.state_dir / "qa").lines_of,
    )


class _History:
    """What has ended in a workspace; as `aegis_tui.tui.parts.History`."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def runs(self) -> list[PastRun]:
        """Every run, oldest first; none where nothing was ever logged."""
        from aegis_tui.bootstrap.log import log_reader
        from aegis_tui.domain.run.history import RUN_EVENTS, past_runs

        paths = self._place.paths
        return past_runs(log_reader(paths).events(RUN_EVENTS)) if paths.log_db.exists() else []

    def report(self, run: str) -> Report:
        """The report of a run."""
        from aegis_tui.cli.status import compute_report

        return compute_report(self._place, run)

    def transcript(self, instance: str) -> Sequence[str]:
        """What an instance showed."""
        with contextlib.redirect_stdout(sys.__stdout__):
            from aegis_tui.bootstrap.panes import read_transcript

        return read_transcript(self._place.paths, instance).lines


async def _unsaved(root: Path, worktree: Path, branch: str) -> list[str]:
    from aegis_tui.bootstrap.checkout import unsaved_paths

    return await unsaved_paths(root, worktree, branch)


async def _probe(base_url: str) -> list[str]:
    import asyncio

    return await (await asyncio.to_thread(_load_probe))(base_url)


def _load_probe() -> Callable[[str], Awaitable[list[str]]]:
    """Import it; in a thread, so that keys are heard meanwhile."""
    from aegis_tui.bootstrap.model_server import served_models

    return served_models


def _branch(root: Path) -> str:
    argv = ["git", "-C", str(root), "rev-parse", "--abbrev-ref", "HEAD"]
    done = subprocess.run(argv, capture_output=True, timeout=10, stdin=subprocess.DEVNULL, check=False)
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else "no commit yet"
