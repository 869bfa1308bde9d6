"""The commands of docs/roles.md are run in a repository of its own, and its table is compared with the program."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from aegis_tui.agent.role import load_role
from aegis_tui.domain.role import ROLES
from aegis_tui.domain.role_file import Role
from tests.workspace import SHOP, clean_workspace

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "roles.md").read_text("utf-8")


def between(mark: str) -> str:
    return PAGE.partition(f"<!-- {mark} -->")[2].partition(f"<!-- end {mark} -->")[0]


def test_the_commands_run() -> None:
    said = []
    with clean_workspace(SHOP) as workspace:
        config = workspace.folder / "config" / "aegis-tui" / "config.toml"
        config.parent.mkdir()
        config.write_text('base_url = "http://127.0.0.1:9"\n')
        for text in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
            argv = ["bash", "-euo", "pipefail", "-c", text]
            done = subprocess.run(
                argv,
                cwd=workspace.root,
                env=workspace.environ,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, f"{text}\n{done.stderr}"
            said.append(done.stdout)
    assert "reviewer (security)" in said[0] and "tools: read, signatures, map, search, bash, verdict" in said[0]
    assert "is assigned to CLAUDE-backend: Build the index" in said[2] and "CLAUDE-backend  worker" in said[2]
    assert "1 role file of the team, all valid" in said[1] and "limits: 20 turns, 5 minutes" in said[1]


def test_the_roles_are_those_of_the_program() -> None:
    rows = [
        f"| `{name}` | {'yes' if load_role(name).writes else 'no'} | {load_role(name).description} |" for name in ROLES
    ]
    assert between("roles").strip().splitlines()[2:] == rows


def test_the_fields_are_those_of_a_role_file() -> None:
    table = PAGE.partition("| field | meaning |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.M) == [name for name in Role.model_fields if name != "prompt"]
