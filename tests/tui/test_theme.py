from __future__ import annotations

from pathlib import Path

import pytest
from textual.color import Color

from aegis_tui.errors import UsageError
from aegis_tui.tui.resources import data_files
from aegis_tui.tui.theme import ThemeFile, build_theme, load_theme

THEMES = data_files("themes", {"HOME": "/nonexistent"})
COLOURED = sorted(name for name in THEMES if name != "ansi")


def test_there_are_six_themes_at_least() -> None:
    assert {"dark", "light", "high-contrast-dark", "high-contrast-light", "ansi", "aegis"} <= set(THEMES)


@pytest.mark.parametrize("name", COLOURED)
def test_every_text_stands_out_from_every_ground(name: str) -> None:
    theme = load_theme(THEMES[name])
    wanted = 7.0 if name.startswith("high-contrast") else 4.5
    grounds = _grounds(theme)
    inks = {**theme.inks._asdict(), "text": theme.colors.foreground, "accent": theme.colors.accent}
    badge = inks.pop("badge")
    found = {f"{ink} on {ground}": _contrast(inks[ink], grounds[ground]) for ink in inks for ground in grounds}
    found["badge"] = _contrast(badge, inks["warn"])
    assert {pair: ratio for pair, ratio in found.items() if ratio < wanted} == {}


@pytest.mark.parametrize("name", COLOURED)
def test_states_differ_in_colour_as_well(name: str) -> None:
    inks = load_theme(THEMES[name]).inks
    assert len({inks.good, inks.warn, inks.bad, inks.info, inks.muted}) == 5


def test_a_wrong_theme_file_is_named_with_its_field(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(THEMES["dark"].read_text("utf-8").replace("muted =", "mutted ="))
    with pytest.raises(UsageError, match=r"mine.toml: inks.muted"):
        load_theme(path)


@pytest.mark.parametrize("color", ["blu", "#12345", "", "rgb(1,2)"])
def test_a_colour_that_is_none_is_named_with_its_field(tmp_path: Path, color: str) -> None:
    path = tmp_path / "mine.toml"
    lines = THEMES["dark"].read_text("utf-8").splitlines()
    path.write_text("\n".join(f'muted = "{color}"' if line.startswith("muted =") else line for line in lines))
    with pytest.raises(UsageError, match=r"mine.toml: inks.muted: .* is not a colour"):
        load_theme(path)


def test_a_persons_own_theme_goes_before_the_shipped_one(tmp_path: Path) -> None:
    own = tmp_path / "aegis-tui" / "themes"
    own.mkdir(parents=True)
    (own / "dark.toml").write_text(THEMES["light"].read_text("utf-8"))
    found = data_files("themes", {"XDG_CONFIG_HOME": str(tmp_path)})
    assert found["dark"] == own / "dark.toml"
    assert not build_theme("dark", load_theme(found["dark"])).dark


def _grounds(theme: ThemeFile) -> dict[str, str]:
    colors, rows = theme.colors, theme.rows
    return {
        "background": colors.background,
        "surface": colors.surface,
        "panel": colors.panel,
        "cursor": rows.cursor,
        "blurred": rows.cursor_blurred,
        "marked": rows.marked,
    }


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(name: str) -> float:
    parts = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in Color.parse(name).normalized
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
