"""`aegis-tui spec` as a person or a script runs it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from ruamel.yaml import YAML

from aegis_tui.cli import main

ACTIVE = Path(".agents/specs/active")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True, timeout=20)
    subprocess.run(["git", "-C", str(folder), "config", "user.name", "Ada"], check=True, timeout=20)
    for name in ("state", "run", "config"):
        (tmp_path / name).mkdir()
    for name, part in (("XDG_STATE_HOME", "state"), ("XDG_RUNTIME_DIR", "run"), ("XDG_CONFIG_HOME", "config")):
        monkeypatch.setenv(name, str(tmp_path / part))
    monkeypatch.chdir(folder)
    return folder


def answer(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    assert main.run(["spec", *words, "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main.run(["spec", *words]) == 0
    return capsys.readouterr().out


def test_a_spec_is_written_listed_and_shown(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / printed(capsys, "new", "Add a discount to the cart").strip()
    assert path.parent == root / ACTIVE
    assert printed(capsys, "list").split() == f"{path.stem} draft medium 0/2 Add a discount to the cart".split()
    assert printed(capsys, "show", path.stem) == path.read_text()
    made = answer(capsys, "new", "Repair the sum", "--template", "fix")
    (spec,) = made["specs"]
    assert (spec["metadata"]["author"], spec["metadata"]["tags"]) == ("Ada", ["fix"])
    assert made["path"] == str(ACTIVE / f"{spec['id']}.yaml")
    assert answer(capsys, "show", spec["id"])["specs"] == [spec]
    assert [item["id"] for item in answer(capsys, "list")["specs"]] == [path.stem, spec["id"]]


def test_a_broken_file_is_named_with_line_and_field(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there are no specs" in printed(capsys, "list")
    printed(capsys, "new", "Good")
    bad = root / ACTIVE / "bad.yaml"
    bad.write_text("id: bad\nmetadata:\n  titel: x\n")
    listed = answer(capsys, "list")
    assert len(listed["specs"]) == 1
    problem = {
        "file": "bad.yaml",
        "line": 3,
        "field": "metadata.titel",
        "message": "unknown field; did you mean title?",
    }
    assert problem in listed["invalid"]
    assert "bad.yaml:3: metadata.titel: unknown field" in printed(capsys, "list")
    refused = answer(capsys, "validate", code=3)["error"]
    assert (refused["code"], problem in refused["issues"]) == ("spec.invalid", True)
    assert answer(capsys, "show", "bad", code=3)["error"]["code"] == "spec.invalid"
    bad.write_text("id: bad\ntitle: the short form\n")
    assert set(answer(capsys, "validate")["valid"]) > {"bad"}
    assert answer(capsys, "validate", str(bad))["valid"] == ["bad"]


def test_a_spec_is_approved_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / printed(capsys, "new", "Pay\n\nBy card.", "--template", "fix").strip()
    assert printed(capsys, "approve", path.stem).split() == [path.stem, "is", "approved"]
    (spec,) = answer(capsys, "show", path.stem)["specs"]
    assert (spec["status"], spec["changeLog"][-1]["author"]) == ("approved", "Ada")
    assert answer(capsys, "approve", path.stem)["specs"][0]["status"] == "approved"
    path.write_text(path.read_text().replace("status: approved", "status: completed"))
    assert answer(capsys, "approve", path.stem, code=3)["error"]["code"] == "spec.transition"


def test_a_draft_waits_for_the_consultant_unless_the_person_fills_it_in(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["spec", "new", "Pay by card"]) == 0
    shown = capsys.readouterr()
    assert "aegis-tui hub start" in shown.err
    path = root / shown.out.strip()
    (spec,) = answer(capsys, "show", path.stem)["specs"]
    assert (spec["assignedAgent"], spec["metadata"]["description"]) == ("consultant", "Pay by card")
    (own,) = answer(capsys, "new", "Pay by card", "--as-is")["specs"]
    assert own["assignedAgent"] == "" and own["metadata"]["description"] != "Pay by card"


def test_a_spec_that_nobody_filled_in_is_not_approved(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / printed(capsys, "new", "Pay", "--as-is").strip()
    error = answer(capsys, "approve", path.stem, code=3)["error"]
    assert error["code"] == "spec.unedited"
    fields = ["metadata.description", "requirements[0].description", "requirements[0].acceptanceCriteria[0]"]
    lines = path.read_text().splitlines()
    for said, field, start in zip(
        error["message"].splitlines(), fields, ("  description: ", "    description: ", '      - "Given'), strict=True
    ):
        number = next(n for n, line in enumerate(lines, 1) if line.startswith(start))
        assert said == f"{path.name}:{number}: {field}: still has the text of the template"
    assert "status: draft" in path.read_text()


def test_wrong_usage(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["show", "none"], ["new", " "], ["new", "x", "--template", "poem"], ["validate", "none.yaml"]):
        assert main.run(["spec", *words]) == 2
    assert main.run(["spec", "schema", "-o", str(root / "no" / "file")]) == 2
    capsys.readouterr()


def test_the_schema_accepts_what_the_program_writes_and_no_other_field(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["spec", "schema", "-o", "schema.json"]) == 0
    schema = json.loads((root / "schema.json").read_text())
    assert json.loads(printed(capsys, "schema")) == schema
    Draft202012Validator.check_schema(schema)
    written = YAML(typ="safe", pure=True).load((root / printed(capsys, "new", "Pay").strip()).read_text())
    plain = json.loads(json.dumps(written, default=lambda value: value.isoformat()))
    assert list(Draft202012Validator(schema).iter_errors(plain)) == []
    assert list(Draft202012Validator(schema).iter_errors({**plain, "state": "x"}))
    assert list(Draft202012Validator(schema).iter_errors({**plain, "status": "almost"}))
