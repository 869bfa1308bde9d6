"""A TMUX_TMPDIR in which no socket can be made is not used (PANE-1)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aegis_tui.adapters.tmux.config import SOCKET_PATH_BYTES, folder_problem, socket_of, with_usable_folder

NAME = "aegis-0123456789ab"


def test_a_short_folder_is_used_and_a_long_one_is_left_out(tmp_path: Path) -> None:
    room = SOCKET_PATH_BYTES - 1 - len(os.fsencode(socket_of(str(tmp_path), NAME)))
    for extra, is_used in ((room - 1, True), (room, False)):
        folder = tmp_path / ("x" * extra)
        folder.mkdir()
        environment = {"TMUX_TMPDIR": str(folder), "HOME": "/h"}
        assert ("TMUX_TMPDIR" in with_usable_folder(environment, NAME)) is is_used
        assert (folder_problem(str(folder), NAME) is None) is is_used
    problem = folder_problem(str(folder), NAME)
    assert problem is not None and "too long" in problem and str(SOCKET_PATH_BYTES - 1) in problem


def test_a_long_folder_counts_in_bytes_and_a_missing_one_is_named(tmp_path: Path) -> None:
    korean = tmp_path / ("가" * 30)
    korean.mkdir()
    assert "too long" in (folder_problem(str(korean), NAME) or "")
    assert "not a folder" in (folder_problem("/nowhere", NAME) or "")


@pytest.mark.parametrize("folder", [None, ""])
def test_without_the_variable_nothing_is_wrong(folder: str | None) -> None:
    assert folder_problem(folder, NAME) is None
    assert socket_of(folder, NAME) == Path(f"/tmp/tmux-{os.getuid()}") / NAME
