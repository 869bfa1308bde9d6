from __future__ import annotations

from pathlib import Path

import pytest
from textual.geometry import Size

from aegis_tui.errors import UsageError
from aegis_tui.tui.board import PANELS, TABS, divide, load_layout, place
from aegis_tui.tui.resources import data_files

LAYOUTS = data_files("layouts", {"HOME": "/nonexistent"})


def test_there_are_five_layouts() -> None:
    assert {"dashboard", "focus", "grid", "review", "minimal"} <= set(LAYOUTS)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
@pytest.mark.parametrize("size", [(80, 20), (100, 30), (120, 32), (160, 43), (250, 60)])
def test_a_view_fills_the_screen_without_overlaps(name: str, size: tuple[int, int]) -> None:
    view = load_layout(LAYOUTS[name]).view_for(size[0])
    regions = list(place(view, Size(*size)).values())
    assert sum(region.area for region in regions) == size[0] * size[1]
    assert all(region.height >= 3 for region in regions)
    assert not any(a.overlaps(b) for at, a in enumerate(regions) for b in regions[at + 1 :])


@pytest.mark.parametrize("name", ["dashboard", "grid", "review", "minimal"])
@pytest.mark.parametrize("width", [80, 120, 160])
def test_no_panel_is_without_a_way_to_it(name: str, width: int) -> None:
    placed = load_layout(LAYOUTS[name]).view_for(width).placed()
    assert TABS in placed or set(placed) == set(PANELS)


def test_a_wrong_panel_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "x"\n[[views]]\n[[views.columns]]\nrows = [{ panels = ["lokcs"] }]\n')
    with pytest.raises(UsageError, match="lokcs"):
        load_layout(path)


@pytest.mark.parametrize("total", [5, 20, 37, 43])
def test_parts_add_up_and_keep_their_least(total: int) -> None:
    parts = divide(total, [13, 9, 9], [8, 5, 5])
    assert sum(parts) == total
    assert total < 18 or all(part >= least for part, least in zip(parts, [8, 5, 5], strict=True))
