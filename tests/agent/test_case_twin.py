"""A new file that git would take for another one is refused at the write (core.ignoreCase)."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_tui.agent.files import OwnWorktree


@pytest.mark.parametrize(
    ("path", "twin"),
    [
        ("src/Main.py", "src/main.py"),
        ("SRC/other.py", "src"),
        ("src/main.py", None),
        ("src/other.py", None),
        ("new/folder/x.py", None),
        ("src/deep/MAIN.py", None),
        ("STRASSE", "stra\u00dfe"),
    ],
)
def test_what_bears_the_same_name_in_other_case_is_found(tmp_path: Path, path: str, twin: str | None) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.py").write_text("")
    (tmp_path / "stra\u00dfe").write_text("")
    assert OwnWorktree(tmp_path).case_twin(path) == twin
