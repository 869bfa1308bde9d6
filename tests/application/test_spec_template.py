"""What a spec still has from its template (SPEC-1)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aegis_tui.application.setup import SETUP_FILES
from aegis_tui.application.spec_folder import SpecFolder
from aegis_tui.application.spec_template import BLANKS
from aegis_tui.application.spec_text import load_spec
from aegis_tui.errors import Refused

TEMPLATES = sorted((SETUP_FILES / "specs").glob("*.yaml"))
NOW = datetime(2026, 11, 30, tzinfo=UTC)


def test_the_blanks_are_the_capitals_of_the_templates() -> None:
    body = "".join(re.sub(r"#.*", "", path.read_text()).replace("spec-YYYY-MM-DD-NNN", "") for path in TEMPLATES)
    assert set(re.findall(r"\b[A-Z]{2,}\b", body)) == BLANKS


@pytest.mark.parametrize("name", [path.stem for path in TEMPLATES])
def test_each_template_has_to_be_filled_in(tmp_path: Path, name: str) -> None:
    folder = SpecFolder(tmp_path)
    path = folder.create("Pay", template=name, author="Ada", now=NOW)
    with pytest.raises(Refused, match=r"metadata\.description"):
        folder.check_edited(load_spec(path))
    text = re.sub(r"^  description: .*", '  description: "By card."', path.read_text(), flags=re.M)
    text = re.sub("|".join(rf"\b{word}\b" for word in BLANKS), "this", text)
    path.write_text(text)
    folder.check_edited(load_spec(path))


def test_the_texts_of_a_template_of_the_project_can_be_meant_as_they_are(tmp_path: Path) -> None:
    own = tmp_path / ".agents/specs/templates/nightly.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(
        "id: x\nmetadata:\n  title: ''\n  description: All packages are renewed.\nrequirements:\n"
        "  - id: R1\n    description: The API returns JSON.\n"
    )
    folder = SpecFolder(tmp_path)
    folder.check_edited(load_spec(folder.create("Renew", template="nightly", author="Ada", now=NOW)))
    own.write_text(own.read_text().replace("The API returns JSON.", "As a ROLE I pay."))
    with pytest.raises(Refused, match=r"\d: requirements\[0\]\.description: still has"):
        folder.check_edited(load_spec(folder.create("Renew", template="nightly", author="Ada", now=NOW)))
