"""The command line of bubblewrap."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_tui.adapters.sandbox.bubblewrap import SystemView, bubblewrap_argv
from aegis_tui.errors import Refused
from aegis_tui.ports.sandbox import SandboxSpec


def _view(tmp_path: Path) -> SystemView:
    return SystemView("/usr/bin/bwrap", "/usr/bin", tmp_path / "home", ())


@pytest.mark.boundary(
    layer="namespace",
    tried="a secret as a variable of a sandbox, visible in the process list",
    refused="refused before anything starts",
)
def test_no_secret_can_get_into_the_process_list(tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN", "DB_PASSWORD", "token"):
        spec = SandboxSpec(worktree=tmp_path, cwd=tmp_path, environment={name: "x"})
        with pytest.raises(Refused) as caught:
            bubblewrap_argv(["true"], spec, _view(tmp_path))
        assert name in caught.value.message
    harmless = {"AEGIS_TOKEN_FILE": "/f", "MAX_OUTPUT_TOKENS": "4", "KEYBOARD": "x"}
    assert bubblewrap_argv(
        ["true"], SandboxSpec(worktree=tmp_path, cwd=tmp_path, environment=harmless), _view(tmp_path)
    )


def test_deeper_paths_are_mounted_over_the_ones_above_them(tmp_path: Path) -> None:
    common, run = Path("/r/.git"), Path("/r/.git/refs/heads/aegis/r1")
    spec = SandboxSpec(worktree=Path("/w"), cwd=Path("/w"), read_write=(run, common / "objects"), read_only=(common,))
    argv = bubblewrap_argv(["prog", "--bind", "a b; rm"], spec, _view(tmp_path))
    places = [argv.index(str(path)) for path in (common, common / "objects", run)]

    assert places == sorted(places)
    assert [argv[place - 1] for place in places] == ["--ro-bind-try", "--bind-try", "--bind-try"]
    assert argv[argv.index("--") :] == ["--", "prog", "--bind", "a b; rm"]
    assert argv[argv.index("--remount-ro") + 1] == "/"
    assert "--share-net" not in argv
    assert argv.index("/tmp") < places[0]


def test_a_link_in_a_folder_that_is_shown_is_not_mounted_over(tmp_path: Path) -> None:
    """bubblewrap would follow it to a file that is not there."""
    venv, base = tmp_path / "venv", tmp_path / "base/python3"
    for place in (venv / "bin", base.parent):
        place.mkdir(parents=True)
    base.touch()
    (venv / "bin/python").symlink_to(base)
    outside = tmp_path / "outside"
    outside.symlink_to(base)
    spec = SandboxSpec(worktree=Path("/w"), cwd=Path("/w"), read_only=(venv / "bin/python", venv, outside))
    argv = bubblewrap_argv(["prog"], spec, _view(tmp_path / "home"))
    shown = {argv[at + 1] for at, word in enumerate(argv) if word == "--ro-bind-try"}
    assert {str(venv), str(base), str(outside)} <= shown and str(venv / "bin/python") not in shown
