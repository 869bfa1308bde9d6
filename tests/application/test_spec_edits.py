"""A person and the hub edit one spec file, in any order and at the same moment; neither loses an edit (SPEC-3)."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.application.spec_folder import SpecFolder
from aegis_tui.application.spec_status import status_change, status_edits
from aegis_tui.application.spec_text import load_spec
from aegis_tui.application.yaml_edit import Edit
from aegis_tui.domain.spec.document import PRIORITIES, Spec
from aegis_tui.domain.spec.model import SpecState, SpecStatus

NOW = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
TEXT = """\
# mine
id: a
status: approved   # when it is ready
priority: medium
metadata:
  title: 'x'
tasks:
  - {id: T1, title: build it}   # flow
"""

persons = st.one_of(
    st.tuples(st.just("note"), st.integers(0, 999).map(str)),
    st.tuples(st.just("title"), st.text("abc:#'\" -", min_size=1).filter(str.strip)),
    st.tuples(st.just("priority"), st.sampled_from(sorted(PRIORITIES))),
)
hubs = st.sampled_from(get_args(SpecStatus))
steps = st.lists(st.tuples(st.lists(persons, max_size=2), st.none() | hubs, st.lists(persons, max_size=2)), max_size=8)


class Desk:
    """One spec file, and what has been written into it."""

    def __init__(self, root: Path) -> None:
        self.folder = SpecFolder(root)
        self.path = root / ".agents/specs/active/a.yaml"
        self.path.parent.mkdir(parents=True)
        self.path.write_text(TEXT)
        self.notes: list[str] = []
        self.title, self.priority, self.status = "x", "medium", "approved"
        self.changes: list[str] = []

    def edit(self, kind: str, value: str) -> None:
        """Save the file as an editor does that knows nothing of the program."""
        text = self.path.read_text()
        if kind == "note":
            self.notes.append(f"# note {len(self.notes)} {value}")
            text += self.notes[-1] + "\n"
        elif kind == "title":
            self.title = value
            quoted = "'" + value.replace("'", "''") + "'"
            text = re.sub(r"^  title: .*$", lambda _: f"  title: {quoted}", text, flags=re.M)
        else:
            self.priority = value
            text = re.sub(r"^priority: .*$", f"priority: {value}", text, flags=re.M)
        self.path.write_text(text)

    def move(self, status: SpecStatus, meanwhile: Sequence[tuple[str, str]]) -> None:
        """Write a status as the hub does, while a person saves between its reading and its writing."""
        left = list(meanwhile)
        state = SpecState(spec_id="a", path="", title="", status=status, by_run="run1", error=f"why {status}")

        def plan(spec: Spec) -> tuple[Sequence[Edit], str]:
            if left:
                self.edit(*left.pop(0))
            edits = status_edits(spec, state) if spec.status != status else []
            return edits, status_change(spec, state, "")

        before = load_spec(self.path).spec.status
        self.folder.change("a", plan, author="aegis-tui", now=NOW)
        if before != status:
            self.status = status
            self.changes.append(f"status {before} -> {status}, run1")
        for item in left:
            self.edit(*item)


@settings(deadline=None, max_examples=15)
@given(steps)
def test_any_sequence_of_edits_by_a_person_and_by_the_hub_loses_neither(
    todo: list[tuple[list[tuple[str, str]], SpecStatus | None, list[tuple[str, str]]]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        for before, status, meanwhile in todo:
            for item in before:
                desk.edit(*item)
            if status is None:
                for item in meanwhile:
                    desk.edit(*item)
            else:
                desk.move(status, meanwhile)
        spec = load_spec(desk.path).spec
        assert (spec.metadata.title, spec.priority, spec.status) == (desk.title, desk.priority, desk.status)
        assert [entry.change for entry in spec.changeLog] == desk.changes
        lines = desk.path.read_text().splitlines()
        assert [line for line in lines if line.startswith("# note")] == desk.notes
        assert "# mine" in lines and any(line.endswith("# when it is ready") for line in lines)
        assert any(line.endswith("# flow") for line in lines)
        assert [path.name for path in desk.path.parent.iterdir()] == ["a.yaml"]
