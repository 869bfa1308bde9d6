"""The three pages of the dialog of a first session, as lines: what was found, which model, what will be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aegis_tui.application.check import Check
from aegis_tui.application.model_check import SERVER_FIX
from aegis_tui.domain.count import listed
from aegis_tui.tui.text import Ink, Line, Span, inert, wrap

NO_SERVER = (
    "No server yet? In another terminal:",
    "  aegis-tui vllm plan          which models fit on this machine",
    "  aegis-tui vllm start MODEL   start one of them here",
    "  aegis-tui demo               watch a whole run first, without one",
)


def check_lines(checks: Sequence[Check] | None, width: int) -> list[Line]:
    """Return a line or more for each check: a glyph, its name, what was observed; and below it, how to fix a failure.

    Agent programs that are not installed share one line. None, while the checks run, gives a line that says so.
    """
    if checks is None:
        return [(Span("○ checking …", "info"),)]
    shown = [check for check in checks if check.ok or not check.is_extra]
    column = max((len(check.name) for check in shown), default=0) + 2
    lines = [line for check in shown for line in _check_lines(check, column, width)]
    absent = [check.name.removeprefix("agent ") for check in checks if check.is_extra and not check.ok]
    if absent:
        lines += _wrapped(f"- not installed, and not needed: {listed(absent)}", width, "muted", indent=2)
    return lines


def _check_lines(check: Check, column: int, width: int) -> list[Line]:
    glyph, ink = _mark(check)
    room = max(8, width - 2 - column)
    first, *rest = wrap(inert(check.observed), room)
    name = Span(check.name.ljust(column), "muted" if check.ok else "strong")
    lines: list[Line] = [(Span(f"{glyph} ", ink), name, Span(first))]
    lines += [(Span(" " * (2 + column) + part),) for part in rest]
    if not check.ok and check.fix:
        lines += [(Span(" " * (2 + column) + part, "warn"),) for part in wrap(f"fix: {inert(check.fix)}", room)]
    return lines


def _mark(check: Check) -> tuple[str, Ink]:
    if check.ok:
        return "✓", "good"
    return ("✗", "bad") if check.essential else ("!", "warn")


def summary_line(checks: Sequence[Check]) -> str:
    """Return, in a sentence, whether a run can start with these checks, and how many others failed."""
    lacks = [check for check in checks if not check.ok and not check.is_extra]
    needed = [check.name for check in lacks if check.essential]
    if needed:
        return f"no run can start before this is fixed: {listed(needed)}"
    return "everything is there" if not lacks else "a run can start; what is marked with ! can be fixed later"


def not_written(error: OSError, settings_file: Path) -> str:
    """Return why a file could not be written, and how to go on without it if it is the settings file.

    A temporary file next to the settings file, which is renamed in the end, is not named, but the settings file is.
    """
    place = Path(error.filename or settings_file)
    if place.parent == settings_file.parent:
        place = settings_file
    words = f"✗ {place} cannot be written: {error.strerror}"
    if place not in (settings_file, settings_file.parent):
        return words
    return f"{words}\n  make it writable, or name the server without a file: AEGIS_BASE_URL, or --base-url URL"


def model_lines(
    checks: Sequence[Check] | None, kind: str, kinds: Sequence[str], *, asked: bool, width: int
) -> list[Line]:
    """Return what is known about the model server, and which kind of agent works with it.

    Args:
        checks: What the last check of the address gave; None while it runs.
        kind: The agent kind that is chosen.
        kinds: The kinds that are installed.
        asked: Whether the address was checked, or is being checked; if not, `checks` is not shown.
        width: Cells.
    """
    if not asked:
        lines: list[Line] = [(Span("○ not checked yet", "muted"),)]
    elif checks is None:
        lines = check_lines(None, width)
    else:  # the remedies for a server that is not there follow below, in full
        lines = check_lines([replace(item, fix="") if item.fix == SERVER_FIX else item for item in checks], width)
    if not asked or (checks and not all(check.ok for check in checks)):
        lines += [(), *((Span(text, "muted"),) for text in NO_SERVER)]
    others = listed([name for name in kinds if name != kind])
    more = f"ctrl+o changes to another: {others}" if others else "no other kind is installed"
    return [*lines, (), *_wrapped(f"Agent kind: {kind} ({more})", width, "text", indent=2)]


def plan_lines(planned: Sequence[str], settings_text: str, width: int) -> list[Line]:
    """Return what will be written: the settings file with its content, then the files of the repository."""
    first, *files = planned
    lines = _wrapped(f"Enter creates {inert(first)}:", width, "strong", indent=2)
    lines += [(Span(f"  {inert(text)}", "muted"),) for text in settings_text.splitlines()]
    lines.append(())
    if not files:
        return [*lines, *_wrapped("and nothing else; the repository stays as it is", width, "text", indent=2)]
    lines += _wrapped(
        "and these files in the repository, and a block in git's info/exclude; aegis-tui init --undo removes them:",
        width,
        "strong",
        indent=2,
    )
    return [*lines, *((Span(f"  {inert(name)}", "muted"),) for name in files)]


def _wrapped(text: str, width: int, ink: Ink, *, indent: int) -> list[Line]:
    start = len(text) - len(text.lstrip())
    first, *rest = wrap(text.strip(), max(8, width - indent))
    return [(Span(" " * start + first, ink),), *((Span(" " * indent + part, ink),) for part in rest)]
