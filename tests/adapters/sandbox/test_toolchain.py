"""What of a person's PATH a sandbox shows, however odd the folders on it are."""

from __future__ import annotations

from pathlib import Path

from aegis_tui.adapters.sandbox.toolchain import find_toolchain_paths


def test_links_that_go_round_in_a_circle_are_passed_over(tmp_path: Path) -> None:
    """A PATH with `.` in it, linked into one folder of programs, had such a link, and no run could start."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "self").symlink_to("self")
    (programs / "one").symlink_to("two")
    (programs / "two").symlink_to("one")
    tool = tmp_path / "tools" / "bin" / "tool"
    tool.parent.mkdir(parents=True)
    tool.write_text("")
    (programs / "tool").symlink_to(tool)
    found = find_toolchain_paths(f"{programs}:{programs}/self", tmp_path / "home", package=tmp_path / "package")
    assert {programs, tool.parent} <= set(found)
