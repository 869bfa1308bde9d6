"""A sentence becomes a spec for a person's review, in the background (ROLE-5, ACC-1)."""

from __future__ import annotations

import json
from pathlib import Path

from aegis_tui.application.spec_text import load_spec
from aegis_tui.testing.recorded_llm import RecordedLLM
from tests.workspace import SHOP, Served

DRAFT = {
    "description": "A module src/tax.py with a rate.",
    "requirements": [{"description": "There is a rate.", "criteria": ["It can be imported."]}],
    "tasks": [{"title": "Write it", "files": ["src/tax.py"]}],
}
SCRIPTS = {
    "consult": [
        {"tool": "search", "args": {"pattern": "rate"}},
        {"tool": "propose_spec", "args": DRAFT},
    ],
}


def test_a_sentence_becomes_a_spec_for_review(tmp_path: Path) -> None:
    for name, steps in SCRIPTS.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"steps": steps}))
    model, scratch = RecordedLLM(tmp_path), Served()
    try:
        scratch.init(SHOP)
        (scratch.folder / "config" / "aegis-tui").mkdir()
        (scratch.folder / "config" / "aegis-tui" / "config.toml").write_text(f'base_url = "{model.base_url}"\n')
        assert scratch.aegis("hub", "start").code == 0
        made = scratch.aegis("spec", "new", "Add a tax rate [[script:consult]]", "--json")
        assert made.code == 0
        path = scratch.root / json.loads(made.out)["path"]
        scratch.until(lambda: load_spec(path).spec.status == "review", what=f"it is for review: {path.read_text()}")
        spec = load_spec(path).spec
        assert [task.files for task in spec.tasks] == [("src/tax.py",)] and spec.changeLog[-1].author == "consultant"
        assert "Add a tax rate" in model.results("consult")[0]
        assert scratch.aegis("hub", "stop").code == 0
        left = scratch.leftovers()
    finally:
        scratch.close()
        model.close()
    assert left == []
