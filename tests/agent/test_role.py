from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from aegis_tui.agent.role import SHIPPED, load_role, plain_fields
from aegis_tui.domain.role_file import split_front_matter
from aegis_tui.errors import UsageError

READ_ONLY = {"read", "signatures", "map", "search"}


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
    with pytest.raises(UsageError, match=f"the role file {tmp_path / 'worker.md'}"):
        load_role("worker", folders=[tmp_path])


_WORD = st.sampled_from(
    ["true", "Null", "no", "a", "worker", "x y", "a - b", "1", "e1", "it's", "b: c", "d #", "#", ""]
)
_VALUE = st.one_of(
    _WORD, st.text("ab1 ,.;()/_-:#[]'", max_size=6), st.lists(_WORD).map(lambda all_: f"[{', '.join(all_)}]")
)
_LINE = st.builds("{}: {}".format, st.sampled_from(["name", "tools", "true", "n m"]), _VALUE)


@given(st.lists(_LINE, max_size=3).map("\n".join))
def test_what_is_read_without_a_yaml_parser_is_what_yaml_says(front: str) -> None:
    if (fields := plain_fields(front)) is not None:
        assert fields == (YAML(typ="safe", pure=True).load(front) or {})


def test_limits_are_read_without_a_yaml_parser_too() -> None:
    front = "name: scout\ntools: [read, report]\nmax_turns: 20\nmax_minutes: 5"
    assert plain_fields(front) == {"name": "scout", "tools": ["read", "report"], "max_turns": 20, "max_minutes": 5}


def test_a_role_file_that_is_not_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "odd.md").write_bytes(b"---\nname: odd\n---\nArbeite gr\xfcndlich.\n")
    with pytest.raises(UsageError, match=r"odd\.md cannot be read"):
        load_role("odd", folders=[tmp_path])


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.md")), ids=lambda path: path.stem)
def test_no_shipped_role_needs_a_yaml_parser(path: Path) -> None:
    front, _ = split_front_matter(path.read_text("utf-8"))
    assert set(plain_fields(front) or {}) == {"name", "description", "tools"}
