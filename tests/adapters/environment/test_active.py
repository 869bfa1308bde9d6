"""Which Python installation commands find first, by PATH alone (FLOW-7)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from aegis_tui.adapters.environment.active import prefix_of_path


def test_a_virtual_environment_in_path_is_found_itself_and_not_what_it_is_based_on(tmp_path: Path) -> None:
    venv, linked = tmp_path / "venv", tmp_path / "linked"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    assert (venv / "bin/python").is_symlink()
    assert prefix_of_path(str(venv / "bin"), tmp_path) == venv
    (linked / "bin").mkdir(parents=True)
    (linked / "bin/python").symlink_to(sys.base_prefix + "/bin/python3")
    assert prefix_of_path(str(linked / "bin"), tmp_path) == Path(sys.base_prefix).resolve()
