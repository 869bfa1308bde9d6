from __future__ import annotations

from pathlib import Path

import pytest

from aegis_tui.agent.role import SHIPPED, load_role
from aegis_tui.errors import UsageError

READ_ONLY = {"read", "signatures", "search"}


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.md")))
def test_every_shipped_role_loads_and_has_its_sections(name: str) -> None:
    role = load_role(name)
    assert role.name == name
    for section in ("# Workflow", "# Constraints", "# Heartbeat"):
        assert section in role.prompt


def test_roles_end_with_the_tools_of_the_contract() -> None:
    assert "propose_design" in load_role("commander").tools
    assert set(load_role("reviewer").tools) == READ_ONLY | {"bash", "verdict"}
    assert set(load_role("scout").tools) == READ_ONLY | {"report"}
    assert set(load_role("librarian").tools) == READ_ONLY | {"report"}
    assert {"edit", "write", "bash", "lock", "report"} <= set(load_role("worker").tools)


def test_a_folder_goes_before_the_shipped_role(tmp_path: Path) -> None:
    (tmp_path / "worker.md").write_text("---\nname: worker\ndescription: d\ntools: [read, report]\n---\nMine.\n")
    assert load_role("worker", folders=[tmp_path]).prompt == "Mine."
    assert load_role("scout", folders=[tmp_path]) == load_role("scout")


@pytest.mark.parametrize("name", ["", "nobody", "../roles/worker", "/etc/passwd"])
def test_an_unknown_role_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_role(name)
    assert "worker" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "no front matter",
        "---\nname: other\ndescription: d\ntools: [read]\n---\nx",
        "---\nname: worker\ndescription: d\ntools: [push]\n---\nx",
        "---\nname: [\n---\nx",
        "---\n- a\n---\nx",
        "---\nname: worker\ndescription: d\ntools: [read]\nshell: yes\n---\nx",
    ],
)
def test_a_role_file_that_does_not_fit_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "worker.md").write_text(text)
    with pytest.raises(UsageError):
        load_role("worker", folders=[tmp_path])
