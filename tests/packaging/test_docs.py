from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from aegis_tui.domain import command, event
from aegis_tui.domain.role import ROLES
from aegis_tui.domain.run.events import Stage
from scripts.docs.__main__ import render
from scripts.docs.boundary import boundary_fields

TEMPLATE = ["Status", "Summary", "Context", "Solution", "Trade-offs", "How it is verified"]
PAGES = (
    "README.md",
    "AGENTS.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/architecture.md",
    "docs/benchmarks.md",
    "docs/hub.md",
    "docs/security.md",
    "docs/troubleshooting.md",
)


def types_of(union: object) -> set[str]:
    """The `type` of every model in a union, however it is wrapped."""
    if isinstance(union, type) and hasattr(union, "model_fields"):
        field = union.model_fields.get("type")
        return {str(field.default)} if field else set()
    return {found for part in get_args(union) for found in types_of(part)}


@pytest.mark.timeout(180)
def test_generated_parts_are_as_the_code_says(root: Path) -> None:
    argv = [sys.executable, str(root / "scripts" / "docs"), "--check"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr


def test_a_generated_part_that_was_changed_by_hand_is_noticed(root: Path) -> None:
    text = (root / "README.md").read_text("utf-8")
    changed = text.replace("| `aegis-tui run` |", "| `aegis-tui walk` |")
    assert changed != text
    assert render(changed) == text


def test_no_layer_is_said_to_import_a_layer_that_is_forbidden_to_it(root: Path) -> None:
    text = (root / "docs" / "architecture.md").read_text("utf-8")
    allowed = {
        name: re.findall(r"`(\w+)`", below) for name, below in re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", text, re.M)
    }
    rules = re.findall(r"^\| [A-Z][^|]+ \| (`aegis_tui[^|]+) \| (.+) \|$", text, re.M)
    forbidden = [
        (layer, other)
        for sources, never in rules
        for layer in re.findall(r"`aegis_tui\.(\w+)`", sources)
        for other in re.findall(r"`aegis_tui\.(\w+)`", never)
    ]
    assert ("tui", "adapters") in forbidden and "adapters" in allowed["bootstrap"]
    assert [(layer, other) for layer, other in forbidden if other in allowed[layer]] == []


def test_each_document_follows_the_template(root: Path) -> None:
    for path in sorted([*(root / "docs").glob("*.md"), *(root / "docs" / "decisions").glob("[0-9]*.md")]):
        headings = re.findall(r"^## (.+)$", path.read_text("utf-8"), re.M)
        assert headings == TEMPLATE, path.name


@pytest.mark.parametrize("page", PAGES)
def test_no_link_is_broken(root: Path, page: str) -> None:
    path = root / page
    for target in re.findall(r"\]\(([^)#]+)", path.read_text("utf-8")):
        if not target.startswith("https://"):
            assert (path.parent / target).exists(), target


def test_every_decision_is_listed_and_names_only_what_there_is(root: Path) -> None:
    folder = root / "docs" / "decisions"
    records = sorted(folder.glob("[0-9]*.md"))
    index = (folder / "README.md").read_text("utf-8")
    titles = [path.read_text("utf-8").partition("\n")[0].removeprefix("# ") for path in records]
    assert re.findall(r"^- \[(.+)\]\((.+)\)$", index, re.M) == [
        (title, path.name) for title, path in zip(titles, records, strict=True)
    ]
    text = "\n".join(path.read_text("utf-8") for path in records)
    named = set(re.findall(r"`((?:aegis_tui|tests|docs)/[\w./-]+)`", text))
    assert len(named) > 30
    assert [name for name in sorted(named) if not (root / name).exists()] == []


def test_the_glossary_is_in_order_and_has_the_stages_and_roles_of_the_code(root: Path) -> None:
    text = (root / "docs" / "glossary.md").read_text("utf-8")
    words = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", text, re.M)[1:])
    words.pop("---")
    assert list(words) == sorted(words, key=str.casefold)
    assert len(words) == text.count("\n| ") - 2
    assert re.findall(r"[A-Z-]{4,}", words["stage"]) == [stage.value for stage in Stage if stage.value.isupper()]
    assert all(role in words["role"] for role in ROLES)


def test_before_a_commit_the_steps_of_the_fast_checks_are_run(root: Path) -> None:
    steps = re.findall(r"^  step (\S+) (.+)$", (root / "scripts" / "test").read_text("utf-8"), re.M)
    config = (root / ".pre-commit-config.yaml").read_text("utf-8")
    hooks = re.findall(r"- id: (\S+)\n.*\n +entry: \.venv/bin/(.+)$", config, re.M)
    assert hooks == steps


def test_every_module_and_event_of_the_architecture_exists(root: Path) -> None:
    text = (root / "docs" / "architecture.md").read_text("utf-8")
    known = types_of(event.AnyEventData) | types_of(command.AnyCommand)
    named = set(re.findall(r"`((?:[a-z]+:[a-z_-]+|specs\.[a-z-]+))`", text))
    assert len(named) > 15
    assert named <= known, named - known
    files = set(re.findall(r"`((?:aegis_tui|tests)/[\w./]+)`", text))
    assert len(files) > 20
    missing = [name for name in files if not (root / name).exists()]
    assert not missing


@pytest.mark.parametrize(
    "fields",
    [
        {"layer": "moat", "tried": "a", "refused": "b"},
        {"layer": "hooks", "tried": "a"},
        {"layer": "hooks", "tried": "", "refused": "b"},
        {"layer": "hooks", "tried": "a\nb", "refused": "b"},
        {"layer": "hooks", "tried": "a", "refused": "b", "by": "c"},
    ],
)
def test_a_boundary_mark_that_the_page_cannot_show_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="boundary"):
        boundary_fields(pytest.mark.boundary(**fields).mark)
    assert boundary_fields(pytest.mark.boundary(layer="hooks", tried="a", refused="b").mark)["tried"] == "a"
