"""The pictures in docs/screenshots: every panel is there, no text leaves the screen, all can be read (TUI-8)."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PICTURES = sorted((ROOT / "docs" / "screenshots").glob("*.svg"))
WHOLE = [path for path in PICTURES if path.name.startswith(("dashboard-", "grid-"))]
"""Without those of a dialog: what lies below one is dimmed, since it takes no keys."""
PANELS = {
    "80x24": ("Instances", "preview", "partitions", "locks", "conflicts", "Events", "pieces"),
    "120x36": ("Instances", "live", "partitions", "locks", "conflicts", "Events", "pieces"),
    "160x48": ("Instances", "live", "Partitions", "Locks", "Conflicts", "Events", "Pieces"),
}
WANTED_CONTRAST = 4.5
"""For text of this size; source: WCAG 2.2, 1.4.3."""
FRAME = re.compile(r"[\s\u2500-\u259f·]*\Z")


class Text(NamedTuple):
    words: str
    colour: str
    below: str


def texts_of(svg: str) -> list[Text]:
    """Every text of a picture with its colour and the colour of the last rectangle below its start."""
    colours = dict(re.findall(r"\.([\w-]+-r\d+) \{ fill: (#\w{6})", svg))
    grounds = [
        (float(x), float(y), float(width), float(height), fill)
        for fill, x, y, width, height in re.findall(
            r'<rect fill="(#\w{6})" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', svg
        )
    ]
    found = []
    for style, x, y, words in re.findall(r'<text [^>]*class="([\w-]+)" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)<', svg):
        at, line = float(x) + 1, float(y) - 6
        below = [fill for gx, gy, gw, gh, fill in grounds if gx <= at < gx + gw and gy <= line < gy + gh]
        if style in colours and below:
            found.append(Text(unescape(words).replace("\xa0", " "), colours[style], below[-1]))
    return found


def luminance(colour: str) -> float:
    """Relative luminance; source: WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """From 1 for equal colours to 21 for black on white."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_running_demo_is_pictured_in_each_size_dark_and_light() -> None:
    names = {path.stem for path in PICTURES}
    assert {f"dashboard-{size}-{theme}" for size in PANELS for theme in ("dark", "light")} <= names


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_all_words_of_a_screen_can_be_read(path: Path) -> None:
    texts = [text for text in texts_of(path.read_text("utf-8")) if not FRAME.match(text.words)]
    assert len(texts) > 20
    pale = {(text.words, text.colour, text.below) for text in texts if contrast(*text[1:]) < WANTED_CONTRAST}
    assert not pale


@pytest.mark.parametrize("size", PANELS)
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_dashboard_shows_or_names_every_panel_and_its_keys_whole(size: str, theme: str) -> None:
    svg = (ROOT / "docs" / "screenshots" / f"dashboard-{size}-{theme}.svg").read_text("utf-8")
    words = "".join(text.words for text in texts_of(svg))
    missing = [word for word in (*PANELS[size], "scripted", "MONITORING", "DONE", "leave") if word not in words]
    assert not missing


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_no_text_leaves_the_screen(path: Path) -> None:
    svg = path.read_text("utf-8")
    screen = re.search(r'<clipPath id="[\w-]+-clip-terminal">\s*<rect x="0" y="0" width="([\d.]+)"', svg)
    assert screen is not None
    rows = re.findall(r'<text [^>]*x="([\d.]+)" [^>]*textLength="([\d.]+)"[^>]*>([^<]*)<', svg)
    ends = [float(x) + float(length) for x, length, words in rows if unescape(words).strip()]
    assert max(ends) <= float(screen[1]) + 2
