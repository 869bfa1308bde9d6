"""Reads theme files (TOML) and builds Textual themes from them (TUI-4)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

from rich.terminal_theme import TerminalTheme
from textual.color import Color, ColorParseError
from textual.theme import Theme

from aegis_tui.errors import UsageError
from aegis_tui.tui.table import Misfit, read_table
from aegis_tui.tui.text import INKS

DEFAULT_THEME = "dark"


def _palette(background: str, foreground: str, normal: str, bright: str) -> TerminalTheme:
    def rgb(code: str) -> tuple[int, int, int]:
        return int(code[0:2], 16), int(code[2:4], 16), int(code[4:6], 16)

    return TerminalTheme(
        rgb(background), rgb(foreground), *([rgb(item) for item in row.split()] for row in (normal, bright))
    )


ANSI_DARK = _palette(
    "12151a",
    "d8dbe0",
    "1a1d22 ff6b81 8fd460 e5b567 8ab4ff d7a0ff 58d1eb d5d8dd",
    "9097a1 ff8c9c a8e27f f0cd8c a8c7ff e3bcff 86e0f2 f6f6ef",
)
"""The sixteen colours of panes on a dark background; each but black has a contrast of at least 4.5 to it (TUI-4)."""

ANSI_LIGHT = _palette(
    "fbfaf7",
    "1f2328",
    "1a1d22 a8281f 2f6d1a 7a5b00 2d55b8 7a3e9d 00657f 5b6068",
    "5f6368 b3261e 2b7012 7d5a00 1f5fbf 8e36a8 006a80 4a4f57",
)
"""The sixteen colours of panes on a light background, likewise."""


class ThemeColors(NamedTuple):
    """Background colours, the colour of plain text, and the accent colour."""

    background: str
    surface: str
    """Background of dialogs and fields."""
    panel: str
    """Background of bars."""
    foreground: str
    accent: str


class ThemeInks(NamedTuple):
    """The colour of text for each meaning; plain text has the foreground colour."""

    strong: str
    muted: str
    good: str
    warn: str
    bad: str
    info: str
    badge: str
    """Text of a badge, whose background is the `warn` colour."""


class ThemeRows(NamedTuple):
    """Backgrounds of rows, and colours of borders."""

    cursor: str
    cursor_blurred: str
    marked: str
    border: str
    border_focus: str


class ThemeFile(NamedTuple):
    """The content of a file in `themes/`."""

    title: str
    dark: bool
    """Whether text is light on a dark background."""
    colors: ThemeColors
    inks: ThemeInks
    rows: ThemeRows
    ansi: bool = False
    """Whether colours are names of the terminal's own sixteen colours (`ansi_blue`)."""


def load_theme(path: Path) -> ThemeFile:
    """Read a theme file, check its fields and colours, and return its content.

    Raises:
        UsageError: It cannot be read, a field is missing, unknown or of a wrong type, or Textual does not know a
            colour; the message names file and field.
    """
    try:
        file = read_table(ThemeFile, tomllib.loads(path.read_text("utf-8")), least={})
    except Misfit as error:
        raise UsageError(f"theme {path}: {error}", "compare it with themes/dark.toml") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"theme {path}: {error}", "correct the file, or move it away") from error
    for table in ("colors", "inks", "rows"):
        for field, color in getattr(file, table)._asdict().items():
            try:
                Color.parse(color)
            except ColorParseError as error:
                hint = "use #rrggbb, or a name such as ansi_blue"
                raise UsageError(f"theme {path}: {table}.{field}: {color!r} is not a colour", hint) from error
    return file


def build_theme(name: str, file: ThemeFile) -> Theme:
    """Return the Textual theme for the content of a theme file; inks and rows become variables for style sheets.

    It is not registered with an app.
    """
    colors, inks = file.colors, file.inks
    return Theme(
        name=name,
        primary=colors.accent,
        accent=colors.accent,
        secondary=inks.info,
        warning=inks.warn,
        error=inks.bad,
        success=inks.good,
        foreground=colors.foreground,
        background=colors.background,
        surface=colors.surface,
        panel=colors.panel,
        dark=file.dark,
        ansi=file.ansi,
        text_alpha=1.0,
        variables=_variables(file),
    )


def _variables(file: ThemeFile) -> dict[str, str]:
    """Return the variables that this program's style sheets use, and those of Textual's own widgets."""
    colors, inks, rows = file.colors, file.inks, file.rows
    by_ink = {**inks._asdict(), "text": colors.foreground, "accent": colors.accent}
    return {
        "ansi-background": colors.background,
        "ansi-foreground": colors.foreground,
        **{f"ink-{ink}": by_ink[ink] for ink in INKS},
        "row-cursor": rows.cursor,
        "row-cursor-blurred": rows.cursor_blurred,
        "row-marked": rows.marked,
        "line-border": rows.border,
        "line-border-focus": rows.border_focus,
        "border": rows.border_focus,
        "border-blurred": rows.border,
        "block-cursor-background": rows.cursor,
        "block-cursor-foreground": colors.foreground,
        "block-cursor-text-style": "none",
        "input-cursor-background": colors.foreground,
        "input-cursor-foreground": colors.background,
        "input-selection-background": rows.cursor,
        "scrollbar": rows.border,
        "scrollbar-hover": rows.border_focus,
        "scrollbar-active": rows.border_focus,
        "scrollbar-background": colors.background,
        "scrollbar-background-hover": colors.background,
        "scrollbar-background-active": colors.background,
        "scrollbar-corner-color": colors.background,
    }
