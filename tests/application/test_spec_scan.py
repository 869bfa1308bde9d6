"""Which spec files have changed is found by what they say (SPEC-4)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aegis_tui.application.spec_folder import SpecFolder
from aegis_tui.application.spec_scan import SpecScan
from aegis_tui.application.spec_text import load_spec

TEXT = "id: a\nmetadata: {title: x}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / ".agents/specs/active/a.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(TEXT)
    return path


def test_each_content_is_returned_once(path: Path, tmp_path: Path) -> None:
    scan = SpecScan(SpecFolder(tmp_path))
    (seen,) = scan.look()
    assert (seen.spec_id, seen.path, seen.spec) == ("a", ".agents/specs/active/a.yaml", load_spec(path).spec)
    path.touch()
    assert scan.look() == [] == scan.look(whole=True)
    path.write_text(TEXT + "# more\n")
    assert [item.digest != seen.digest for item in scan.look()] == [True]
    path.unlink()
    assert [(item.spec_id, item.digest, item.spec) for item in scan.look()] == [("a", "", None)]
    assert scan.look() == [] == scan.known()


def test_a_change_that_keeps_size_and_times_is_found_by_its_content(path: Path, tmp_path: Path) -> None:
    scan = SpecScan(SpecFolder(tmp_path))
    scan.look()
    times = path.stat()
    with path.open("r+") as file:
        file.write(TEXT.replace("x", "y"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    (item,) = scan.look(whole=True)
    assert item.spec is not None and item.spec.metadata.title == "y"


def test_what_is_no_spec_is_named_until_it_is_one(path: Path, tmp_path: Path) -> None:
    scan = SpecScan(SpecFolder(tmp_path))
    path.write_bytes(b"id: a\n\xff")
    (path.parent / "big.yaml").write_bytes(b"#" * (1 << 20) + b"##")
    (path.parent / "link.yaml").symlink_to(path)
    assert [item.spec for item in scan.look()] == [None, None]
    assert {name: "UTF-8" in text or "1 MiB" in text for name, text in scan.problems.items()} == {
        "a": True,
        "big": True,
    }
    path.write_text(TEXT)
    scan.look()
    assert set(scan.problems) == {"big"}


def test_what_the_program_wrote_is_not_returned_but_a_later_edit_is(path: Path, tmp_path: Path) -> None:
    scan = SpecScan(SpecFolder(tmp_path))
    scan.look()
    path.write_text(TEXT + "status: review\n")
    scan.accept("a", load_spec(path))
    assert scan.look() == []
    path.write_text(TEXT + "status: draft\n")
    assert len(scan.look()) == 1
