"""`aegis-tui screenshot`: saves a screen as SVG, of this workspace or of a recorded log (TUI-8)."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aegis_tui.cli import output
from aegis_tui.domain.wire.machine import ScreenshotOutput
from aegis_tui.errors import UsageError

if TYPE_CHECKING:
    from aegis_tui.tui.app import AegisApp

NAMES = (
    "dashboard, partitions, locks, conflict, events, why, gates, grid, design, goal, feature, send, stop, report, "
    "runs, inbox, help, palette"
)
"""The screens, those of `aegis_tui.tui.screenshot.SCREENS`, which takes long to import."""

_SIZE = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})\Z")
_AFTER_S = 1.0
"""The clock of a recorded session stands this many seconds after its last event."""


def _screenshot(
    screen: Annotated[str, typer.Argument(metavar="SCREEN", help=f"One of: {NAMES}.")],
    out: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.svg", help="The SVG file to write.")],
    size: Annotated[str, typer.Option("--size", metavar="WxH", help="Columns and lines.")] = "160x48",
    theme: Annotated[str | None, typer.Option("--theme", metavar="NAME", help="Theme, such as light.")] = None,
    layout: Annotated[str | None, typer.Option("--layout", metavar="NAME", help="Layout, such as grid.")] = None,
    log: Annotated[
        Path | None,
        typer.Option("--log", metavar="FILE", help="Show the output of aegis-tui events that was saved in this file."),
    ] = None,
    panes: Annotated[
        Path | None,
        typer.Option(
            "--panes",
            metavar="FILE",
            help="With --log: a JSON object that maps the id of each pane to a list of its lines.",
        ),
    ] = None,
    until: Annotated[int | None, typer.Option("--until", min=0, help="With --log: the last event to show.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> int:
    """Save a screen of the dashboard as SVG.

    An existing file is replaced. Without --log, the current state of this repository is shown, and --panes and --until
    have no effect.

    Exit code 2 if there is no such screen, theme or layout, if the screen cannot be opened in this state (there is no
    report before a run has ended, for example), if --size or a setting is wrong, or if a file cannot be read or
    written; 5 if a hub is running and does not answer, or outside a repository.
    """
    from aegis_tui.tui.screenshot import SCREENS, take

    if screen not in SCREENS:
        raise UsageError(f"there is no screen {screen!r}", f"one of {', '.join(SCREENS)}")
    if (match := _SIZE.match(size)) is None:
        raise UsageError(f"--size {size} is not a size", "give columns x lines, for example 160x48")
    columns, lines = int(match[1]), int(match[2])
    app = _recorded(log, panes, until, theme, layout) if log else _live(theme, layout)
    svg = asyncio.run(take(app, screen, size=(columns, lines)))
    try:
        out.write_text(svg, "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}", "choose another file") from error
    output.result(ScreenshotOutput(path=str(out)), as_json=as_json, lines=[str(out)])
    return 0


def _live(theme: str | None, layout: str | None) -> AegisApp:
    from aegis_tui.cli.place import here
    from aegis_tui.cli.session import Look, build_app

    return build_app(here(), Look(theme=theme, layout=layout))


def _recorded(log: Path, panes: Path | None, until: int | None, theme: str | None, layout: str | None) -> AegisApp:
    from aegis_tui.config import Settings
    from aegis_tui.tui.app import AegisApp
    from aegis_tui.tui.parts import Parts
    from aegis_tui.tui.recorded import METERS, RecordedHub, RecordedPanes, load_events, load_panes

    events = [event for event in load_events(log) if until is None or event.seq <= until]
    shown = load_panes(panes) if panes else {}
    if not events:
        raise UsageError(f"{log} holds no event up to {until}", "give a greater --until")
    now = datetime.fromisoformat(events[-1].timestamp) + timedelta(seconds=_AFTER_S)
    parts = Parts(
        root=Path("shop"),
        branch="main",
        hub=RecordedHub(events, meters=METERS),
        settings=Settings(),
        open_terminal=lambda: RecordedPanes(shown),
        now=lambda: now,
    )
    return AegisApp(parts, theme=theme, layout=layout)


def _app(function: Any) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app


screenshot_app = _app(_screenshot)
