"""The title of a panel that shares its place with others."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text


def tab_strip(title: str, name: str, neighbours: Sequence[str], *, width: int) -> Text:
    """A panel's title; among the names of the panels that share its place, if there are any and they fit."""
    if not neighbours:
        return Text(title)
    for gap in (" · ", " "):
        parts = [(f"[{title}]", "bold") if other == name else (other, "") for other in neighbours]
        strip = Text(gap).join(Text(*part) for part in parts)
        if strip.cell_len <= width:
            return strip
    return Text.assemble((f"[{title}]", "bold"), f" {neighbours.index(name) + 1}/{len(neighbours)} · tab")
