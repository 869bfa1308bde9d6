"""Opens the dashboard for `aegis-tui` without arguments, `aegis-tui dashboard` and `aegis-tui demo`.

Does not import Typer, so that `aegis-tui` without arguments draws its first frame sooner (PERF-5).
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
    from aegis_tui.application.first_use import FirstUse
    from aegis_tui.config import Settings
    from aegis_tui.domain.instance.belief import SourceReading
    from aegis_tui.domain.instance.model import Instance
    from aegis_tui.domain.run.report_model import PastRun, Report
    from aegis_tui.tui.app import AegisApp
    from aegis_tui.tui.choices import Choices
    from aegis_tui.tui.fetching import FirstFetch
    from aegis_tui.tui.pane_watcher import PaneSource
    from aegis_tui.tui.parts import GoalOffer, Parts

LOG_BYTES = 1 << 20


def run_plain(arguments: list[str]) -> int | None:
    """Open the dashboard if there are no arguments, and return its exit code when the person leaves it.

    For any other arguments, do nothing and return None, so that Typer handles them.

    Raises:
        UsageError: There is no terminal, or a setting is wrong.
        GitUnavailable: The current folder is not in a checkout, or git is missing.
    """
    return None if arguments else open_dashboard(here(), Look())


@dataclass(frozen=True, slots=True)
class Look:
    """What the command line chose for one session of the dashboard; for None, the settings choose.

    Base URL and name of the model are for runs that are started in it; theme and layout are names of files.
    """

    base_url: str | None = None
    model: str | None = None
    theme: str | None = None
    layout: str | None = None


def open_dashboard(place: Place, look: Look, *, offer: GoalOffer | None = None) -> int:
    """Open the dashboard of a workspace; return the exit code when the person leaves. The hub and agents continue.

    The first frame is drawn before the settings are read: if one is wrong, the dashboard is closed again, and that is
    raised. After the end, what continues and what to do next is printed on stderr.

    Args:
        place: The workspace.
        look: What the command line chose.
        offer: A goal with which the goal dialog opens; None to open no dialog.

    Raises:
        UsageError: There is no terminal, no theme or layout of that name, or a setting is wrong.
    """
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise UsageError("the dashboard needs a terminal", "use aegis-tui status, or run it in one")
    gc.disable()  # the start must not wait for the garbage collector; `run_session` turns it on again
    from aegis_tui.tui.session import run_session

    app = _open_app(place, look, offer=offer)
    log_to(place.paths.state_dir / "logs" / "tui.log")
    code = run_session(app)
    _remember(place)
    if app.refusal is not None:
        raise app.refusal
    for line in app.farewell():
        output.talk(line)
    return app.return_code or code or 0


def _remember(place: Place) -> None:
    """Record whose workspace it is, now that it has a log of the dashboard, so that it can be listed and removed."""
    from aegis_tui.sdk.workspaces import remember_first

    with contextlib.suppress(OSError):
        remember_first(place.paths, place.root)


def log_to(path: Path) -> None:
    """Write what this package logs to a file from now on, because the terminal shows the dashboard.

    At 1 MiB the file is renamed to `.1`, and a new one begun. If it cannot be opened, nothing is changed, without an
    error.
    """
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
    """Return an app that, when it is run, draws its first frame before it loads settings and hub client in a thread.

    Raises:
        UsageError: There is no such theme or layout, or the theme's file is wrong.
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
    """Return an app for a workspace, not yet run, with its settings loaded; no hub is started or asked.

    `offer` is a goal with which the goal dialog opens; None opens none.

    Raises:
        UsageError: There is no such theme or layout, or the theme's file or a setting is wrong.
    """
    from aegis_tui.tui.app import AegisApp

    return AegisApp(_parts(place, look), theme=look.theme, layout=look.layout, offer=offer)


def _choices(place: Place) -> Choices:
    from aegis_tui.tui.choices import Choices

    return Choices(place.paths.state_dir.parent / "choices.json")


def _load_parts(place: Place, look: Look) -> Parts:
    """Return what the dashboard needs from outside, as `_parts` does; call it in a thread, because it takes long.

    While another thread fetches the hub's state, it imports the modules of the dashboard.

    Raises:
        UsageError: A setting is wrong.
    """
    from aegis_tui.tui.fetching import FirstFetch

    first = FirstFetch(place.paths)
    for module in ("desk", "screens.dashboard"):
        importlib.import_module(f"aegis_tui.tui.{module}")
    return _parts(place, look, first=first)


def _parts(place: Place, look: Look, *, first: FirstFetch | None = None) -> Parts:
    """Return what the dashboard needs from outside: hub client, settings, history, panes.

    The code for git, tmux and model servers is imported when it is first used.

    Args:
        place: The workspace.
        look: What the command line chose.
        first: A fetch of the hub's state that was started already; None if there is none.

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
        # libtmux reads the encoding of stdout when it is imported; a running Textual app replaces stdout by an object
        # that has none.
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
        piece_diff=partial(_piece_diff, place.root),
        qa_outputs=QaOutputs(place.paths.state_dir / "qa").lines_of,
        first_use=partial(_first_use, place, settings) if _is_first_use(place, look) else None,
    )


def _is_first_use(place: Place, look: Look) -> bool:
    """Return whether no settings file exists, no model server is named, and nothing ever ran in this repository."""
    from aegis_tui.config_files import project_file, user_file

    is_named = bool(look.base_url or os.environ.get("AEGIS_BASE_URL"))
    files = (project_file(place.root), user_file(os.environ), place.paths.log_db)
    return not is_named and not any(path.exists() for path in files) and _choices(place).get("setup") is None


def _first_use(place: Place, settings: Settings) -> FirstUse:
    """Return what the dialog of a first session works with; imports much, so call it in a thread."""
    from aegis_tui.bootstrap.first_use import make_first_use

    return make_first_use(place.root, settings, dict(os.environ))


async def _piece_diff(root: Path, base_oid: str, head_oid: str) -> str:
    from aegis_tui.bootstrap.checkout import piece_diff_at

    return await piece_diff_at(root, base_oid, head_oid)


class _History:
    """Past runs and transcripts of a workspace; implements `aegis_tui.tui.parts.History`."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def runs(self) -> list[PastRun]:
        """Return every run that the log still has, also an open one, oldest first; empty if there is no log.

        Raises:
            StoreError: The log cannot be read.
        """
        from aegis_tui.bootstrap.log import log_reader
        from aegis_tui.domain.run.history import RUN_EVENTS, past_runs

        paths = self._place.paths
        return past_runs(log_reader(paths).events(RUN_EVENTS)) if paths.log_db.exists() else []

    def report(self, run: str) -> Report:
        """Return the report of a run, by the run's id; blocking.

        Raises:
            UsageError: There is no log or no such run, or the log has neither the start of the run nor its report.
            StoreError: The log is damaged, or cannot be read.
            GitUnavailable: git is missing.
            GitError: The run's commit is not in the repository any more.
        """
        from aegis_tui.cli.status import compute_report

        return compute_report(self._place, run)

    def readings(self, item: Instance) -> list[SourceReading]:
        """Return what the process, title and screen of an instance say about its state now; blocking.

        Call it in a thread without a running event loop.
        """
        with contextlib.redirect_stdout(sys.__stdout__):
            from aegis_tui.bootstrap.sources import read_sources

        return read_sources(self._place.paths, item)

    def transcript(self, instance: str) -> Sequence[str]:
        """Return the lines that an instance, by its id, showed in its pane until now or its end; blocking.

        Call it in a thread without a running event loop.

        Raises:
            UsageError: The id is not valid, or nothing is kept.
        """
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
    """Import and return `served_models`, which returns the names of the models of the server at a URL.

    Call it in a thread, because the import takes long, and the app has to handle keys meanwhile.
    """
    from aegis_tui.bootstrap.model_server import served_models

    return served_models


def _branch(root: Path) -> str:
    argv = ["git", "-C", str(root), "rev-parse", "--abbrev-ref", "HEAD"]
    done = subprocess.run(argv, capture_output=True, timeout=10, stdin=subprocess.DEVNULL, check=False)
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else "no commit yet"
