"""The spec files of a checkout, on real files (SPEC-1, SPEC-3, SPEC-10)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aegis_tui.application.spec_folder import SpecFolder
from aegis_tui.application.spec_text import load_spec
from aegis_tui.application.yaml_edit import Edit
from aegis_tui.domain.spec.document import Spec
from aegis_tui.errors import AegisError, Conflict, Refused, UsageError

NOW = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
TEXT = "id: {id}\nmetadata:\n  title: x   # mine\npriority: {priority}\nstatus: {status}\n"


@pytest.fixture
def folder(tmp_path: Path) -> SpecFolder:
    return SpecFolder(tmp_path)


def put(
    folder: SpecFolder, name: str, *, priority: str = "medium", status: str = "draft", into: str = "active"
) -> Path:
    path = folder.root / ".agents/specs" / into / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TEXT.format(id=name, priority=priority, status=status), "utf-8")
    return path


def create(folder: SpecFolder, text: str, *, template: str = "feature") -> Path:
    return folder.create(text, template=template, author="Ada", now=NOW)


def test_a_new_spec_is_a_draft_with_the_first_free_id_of_the_day(folder: SpecFolder) -> None:
    first = create(folder, "Add a discount\n\nTen percent for members.")
    assert first == folder.root / ".agents/specs/active/spec-2026-11-30-001.yaml"
    spec = load_spec(first).spec
    assert (spec.status, spec.metadata.title, spec.metadata.author) == ("draft", "Add a discount", "Ada")
    assert spec.metadata.description == "Add a discount\n\nTen percent for members."
    assert spec.metadata.createdAt == "2026-11-30T08:00:00+00:00"
    put(folder, "spec-2026-11-30-007", into="archive/2026-11")
    assert create(folder, "b").name == "spec-2026-11-30-008.yaml"
    put(folder, "spec-2026-11-30-009", into="")
    assert create(folder, "c").name == "spec-2026-11-30-010.yaml"


def test_a_long_first_line_becomes_a_short_title_and_the_description(folder: SpecFolder) -> None:
    spec = load_spec(create(folder, "word " * 40)).spec
    assert len(spec.metadata.title) <= 72 and spec.metadata.title.endswith("…")
    assert spec.metadata.description == ("word " * 40).strip()


def test_a_spec_moves_to_the_archive_of_its_month_and_replaces_nothing(folder: SpecFolder) -> None:
    first, other = put(folder, "a", status="completed"), put(folder, "b")
    text = first.read_text()
    there = folder.archive("a", NOW)
    assert there == folder.root / ".agents/specs/archive/2026-11/a.yaml" and there.read_text() == text
    assert not first.exists() and folder.archive("a", NOW) == there == folder.find("a")
    assert folder.is_archived("a") and not folder.is_archived("b")
    (there.parent / "b.yaml").write_text("mine")
    with pytest.raises(Conflict):
        folder.archive("b", NOW)
    assert other.exists() and (there.parent / "b.yaml").read_text() == "mine"


def test_what_was_handed_in_is_written_beside_the_specs_and_through_no_link(folder: SpecFolder) -> None:
    for patch in (b"one\n", b"\xff\n"):
        assert folder.put_diff("a", patch) == ".agents/diffs/a.diff"
        assert (folder.root / ".agents/diffs/a.diff").read_bytes() == patch
    assert [path.name for path in (folder.root / ".agents/diffs").iterdir()] == ["a.diff"]
    (folder.root / ".agents/diffs").rename(folder.root / "elsewhere")
    (folder.root / ".agents/diffs").symlink_to(folder.root / "elsewhere")
    with pytest.raises(Conflict):
        folder.put_diff("a", b"two")
    assert (folder.root / "elsewhere/a.diff").read_bytes() == b"\xff\n"


def test_specs_made_at_the_same_moment_get_ids_of_their_own(folder: SpecFolder) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda number: create(folder, f"t{number}"), range(12)))
    assert len(set(paths)) == 12
    assert {load_spec(path).spec.metadata.title for path in paths} == {f"t{number}" for number in range(12)}


@pytest.mark.parametrize("text", ["'", '"quoted": {x', "# no comment", "- a\n- b", "ü\t*&!", "true", "a: b #c"])
def test_any_text_becomes_a_valid_spec_that_says_it(folder: SpecFolder, text: str) -> None:
    assert " ".join(text.split("\n")[0].split()) == load_spec(create(folder, text)).spec.metadata.title


def test_no_text_and_an_unknown_template_are_refused(folder: SpecFolder) -> None:
    with pytest.raises(UsageError, match="no text"):
        create(folder, " \n")
    with pytest.raises(UsageError, match="there is no spec template poem") as refused:
        create(folder, "x", template="poem")
    assert "feature" in refused.value.hint


def test_a_template_of_the_project_replaces_the_shipped_one(folder: SpecFolder) -> None:
    own = folder.root / ".agents/specs/templates/feature.yaml"
    own.parent.mkdir(parents=True)
    own.write_text('# Ours.\nid: x\nstatus: approved\nmetadata:\n  title: ""\n  tags: [ours]   # by Kim\n')
    path = create(folder, "Pay")
    assert load_spec(path).spec.metadata.tags == ("ours",) and load_spec(path).spec.status == "draft"
    assert "# by Kim" in path.read_text() and "# Ours." not in path.read_text()
    own.write_text("id: x\n")
    with pytest.raises(Refused):
        create(folder, "Pay")


def test_specs_are_listed_by_priority_and_broken_ones_last(folder: SpecFolder) -> None:
    put(folder, "a", priority="low")
    put(folder, "c", priority="critical")
    put(folder, "b", into="")
    broken = put(folder, "0")
    broken.write_text("id: 1\n")
    (broken.parent / ".b.yaml.1234").write_text("draft of an editor")
    (broken.parent / "notes.md").write_text("no spec")
    entries = folder.entries()
    assert [entry.path.stem for entry in entries] == ["c", "b", "a", "0"]
    assert [entry.error.code if entry.error else "" for entry in entries] == ["", "", "", "spec.invalid"]


def test_one_id_in_two_files_is_refused(folder: SpecFolder) -> None:
    put(folder, "a")
    put(folder, "a", into="")
    with pytest.raises(UsageError, match="a is the id of two files"):
        folder.paths()


def test_a_link_is_no_spec(folder: SpecFolder) -> None:
    path = put(folder, "a")
    path.rename(folder.root / "secret")
    path.symlink_to(folder.root / "secret")
    assert folder.paths() == []
    with pytest.raises(UsageError, match="there is no spec a"):
        folder.find("a")


@pytest.mark.parametrize("name", [".agents", ".agents/specs", ".agents/specs/active"])
def test_specs_are_not_read_through_a_link_to_a_folder(folder: SpecFolder, name: str) -> None:
    put(folder, "a")
    there = folder.root / "elsewhere"
    (folder.root / name).rename(there)
    (folder.root / name).symlink_to(there)
    with pytest.raises(UsageError, match=f"{name} is a symbolic link"):
        folder.paths()
    with pytest.raises(UsageError, match=f"{name} is a symbolic link"):
        folder.find("a")
    with pytest.raises(UsageError, match=f"{name} is a symbolic link"):
        folder.create("x", template="feature", author="Kim", now=NOW)


def test_a_spec_is_found_by_its_id_in_the_archive_too_and_nowhere_else(folder: SpecFolder) -> None:
    assert folder.find(put(folder, "old", into="archive/2026-10").stem).parent.name == "2026-10"
    for name in ("new", "../active/old", ""):
        with pytest.raises(UsageError):
            folder.find(name)


def test_a_move_follows_the_published_table_and_is_noted(folder: SpecFolder) -> None:
    path = put(folder, "a")
    file = folder.move("a", "approved", by="person", author="Ada", now=NOW)
    assert file.spec.status == "approved" and file == load_spec(path)
    assert [(entry.author, entry.change) for entry in file.spec.changeLog] == [("Ada", "status draft -> approved")]
    assert "# mine" in path.read_text()
    before = path.read_bytes()
    assert folder.move("a", "approved", by="person", author="Bob", now=NOW) == file
    with pytest.raises(Refused, match="only the hub") as refused:
        folder.move("a", "planning", by="person", author="Ada", now=NOW)
    assert (refused.value.code, path.read_bytes()) == ("spec.transition", before)


def test_a_file_that_is_not_utf_8_is_refused_and_stays_as_it_is(folder: SpecFolder) -> None:
    path = put(folder, "a")
    path.write_bytes(path.read_bytes() + "# café\n".encode("latin-1"))
    before = path.read_bytes()
    for status in ("approved", "draft"):
        with pytest.raises(Refused, match=r"a\.yaml:6: the file is not UTF-8"):
            folder.move("a", status, by="person", author="Ada", now=NOW)
    assert path.read_bytes() == before


def test_of_many_moves_at_once_exactly_one_succeeds(folder: SpecFolder) -> None:
    put(folder, "a", status="approved")

    def claim(number: int) -> bool:
        def plan(spec: Spec) -> tuple[Sequence[Edit], str]:
            if spec.status != "approved":
                raise Refused("taken", code="spec.rev")
            return [Edit(("status",), "planning")], f"claimed by {number}"

        try:
            folder.change("a", plan, author="hub", now=NOW)
        except AegisError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(16))) == 1
    assert len(load_spec(folder.find("a")).spec.changeLog) == 1


def test_a_short_file_gets_the_present_form_when_it_is_changed(folder: SpecFolder) -> None:
    path = folder.root / ".agents/specs/2026-11-30-08-00-00-cart.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("id: 2026-11-30-08-00-00-cart\ntitle: Cart\nacceptance: [works]\nowner: kim  # who\n")
    file = folder.move(path.stem, "cancelled", by="person", author="Ada", now=NOW)
    assert not load_spec(path).was_short
    assert (file.spec.status, file.spec.metadata.extra) == ("cancelled", {"owner": "kim"})
