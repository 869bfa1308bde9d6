from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aegis_tui.tui.choices import Choices
from tests.tui.pilot import ready, to_the_end

Record = Callable[..., Any]


def test_a_choice_is_kept_and_a_damaged_file_keeps_none(tmp_path: Path) -> None:
    path = tmp_path / "state" / "choices.json"
    Choices(path).keep("theme", "light")
    Choices(path).keep("layout", "focus")
    assert (Choices(path).get("theme"), Choices(path).get("layout")) == ("light", "focus")
    path.write_text("[1")
    assert Choices(path).get("theme") is None
    assert Choices(None).get("theme") is None


@to_the_end
async def test_the_theme_of_the_last_session_is_the_theme_of_the_next(record: Record, tmp_path: Path) -> None:
    choices = Choices(tmp_path / "choices.json")
    app = record(until=125).app(choices=choices)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot, app)
        await pilot.press("T")
        chosen = app.theme
    assert record(until=125).app(choices=choices).theme == chosen
    assert record(until=125).app(choices=choices, theme="high-contrast-light").theme == "high-contrast-light"
    choices.keep("theme", "of a file that is gone")
    assert record(until=125).app(choices=choices).theme == "dark"
