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


def test_a_toolchain_is_its_programs_and_libraries_and_never_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    package = tmp_path / "project" / "aegis_tui"
    for folder in (
        "home/bin",
        "home/lib",
        "home/.local/bin",
        "home/.local/lib",
        "home/.local/share/keyrings",
        "home/.local/share/uv/tools/ruff/bin",
        "home/.local/share/uv/tools/ruff/lib",
        "home/.nvm/v22/bin",
        "home/.nvm/v22/lib",
        "home/.nvm/v22/etc",
        "home/.cargo/bin",
        "home/.cargo/registry",
        "home/.pyenv/shims",
        "home/.pyenv/versions/3.12/bin",
        "opt/tool/bin",
        "opt/tool/data",
        "project/aegis_tui",
        "project/themes",
        "project/private",
    ):
        (tmp_path / folder).mkdir(parents=True)
    (home / ".local/share/uv/tools/ruff/bin/ruff").touch()
    (home / ".local/bin/ruff").symlink_to(home / ".local/share/uv/tools/ruff/bin/ruff")
    (home / ".local/share/claude-2.1").touch()
    (home / ".local/bin/claude").symlink_to(home / ".local/share/claude-2.1")
    entries = [home / "bin", home / ".local/bin", home / ".nvm/v22/bin", home / ".cargo/bin", home / ".pyenv/shims"]
    entries += [tmp_path / "opt/tool/bin", Path("/usr/bin"), home, Path("/"), tmp_path / "gone/bin"]
    found = find_toolchain_paths(":".join(["", "relative/bin", *map(str, entries)]), home, package=package)

    ours = {str(path.relative_to(tmp_path)) for path in found if path.is_relative_to(tmp_path)}
    assert ours == {
        "home/bin",
        "home/.local/bin",
        "home/.local/lib",
        "home/.local/share/uv/tools/ruff/bin",
        "home/.local/share/uv/tools/ruff/lib",
        "home/.local/share/claude-2.1",
        "home/.nvm/v22/bin",
        "home/.nvm/v22/lib",
        "home/.cargo/bin",
        "home/.pyenv",
        "opt/tool/bin",
        "project/aegis_tui",
        "project/themes",
    }
