"""The commands of docs/specs.md are run in a repository of its own, and its tables are compared with the program."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest
from ruamel.yaml import YAML

from aegis_tui.application.setup import SETUP_FILES
from aegis_tui.application.spec_text import parse_spec
from aegis_tui.domain.spec.model import SpecStatus
from aegis_tui.domain.spec.transition import followers
from aegis_tui.errors import Refused
from tests.workspace import SHOP, clean_workspace

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "specs.md").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def between(mark: str) -> str:
    return PAGE.partition(f"<!-- {mark} -->")[2].partition(f"<!-- end {mark} -->")[0]


def test_the_commands_run() -> None:
    with clean_workspace(SHOP) as workspace:
        config = workspace.folder / "config" / "aegis-tui" / "config.toml"
        config.parent.mkdir()
        config.write_text('base_url = "http://127.0.0.1:9"\n')  # no model server: an approved spec waits
        check_commands(workspace.root, workspace.environ)
        assert workspace.aegis("hub", "stop").code == 0


def check_commands(root: Path, environ: Mapping[str, str]) -> None:
    said = []
    for text in blocks("sh"):
        argv = ["bash", "-euo", "pipefail", "-c", text]
        done = subprocess.run(argv, cwd=root, env=environ, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{text}\n{done.stderr}"
        said.append(done.stdout)
    made = sorted((root / ".agents/specs/active").iterdir())
    assert len(made) == 4 and "2 specs, all valid" in said[0]
    shown = YAML(typ="safe", pure=True).load(said[1])
    assert (shown["id"], shown["status"]) == (made[0].stem, "draft")
    assert f"{made[3].stem}  approved" in said[3]
    assert json.loads((root / "spec.schema.json").read_text())["title"] == "Spec"


@pytest.mark.parametrize("text", blocks("yaml"))
def test_each_spec_is_valid(text: str) -> None:
    spec_id = re.findall(r"^id: (.+)$", text, re.M)[0]
    assert parse_spec(text, name=f"{spec_id}.yaml").spec.tasks


def test_the_error_is_the_one_that_is_printed() -> None:
    (error,), text = blocks("text"), blocks("yaml")[0].replace("  title: Add", "  titel: Add")
    with pytest.raises(Refused) as refused:
        parse_spec(text, name="cart-discount.yaml")
    assert error.strip() in refused.value.message.splitlines()


def test_templates_and_transitions_are_those_of_the_program() -> None:
    assert re.findall(r"`(\w+)`", between("templates")) == sorted(
        path.stem for path in (SETUP_FILES / "specs").glob("*.yaml")
    )
    rows = [f"| {now} | {', '.join(followers(now, 'person'))} | {', '.join(followers(now, 'hub'))} |"
            for now in get_args(SpecStatus)]
    assert between("transitions").strip().splitlines()[2:] == rows
