"""After a run the mentor proposes better role prompts, as a diff for the person (ROLE-11)."""

from __future__ import annotations

import json
from pathlib import Path

from aegis_tui.testing.recorded_llm import RecordedLLM
from tests.workspace import SHOP, clean_workspace

OLD = "Report failed when the task cannot be done, and say why."
VERDICT = {"decision": "approve", "criteria": [{"id": "brief", "pass": True, "evidence": "scripted"}], "findings": []}
CHANGE = {"role": "worker", "reason": "w01 gave up\x1b[2J", "old": OLD, "new": "Say why you report failed."}
SCRIPTS = {
    "build": [
        {"tool": "write", "args": {"path": "src/one.py", "content": "ONE = 1\n"}},
        {"tool": "report", "args": {"status": "done", "summary": "feat: add one"}},
    ],
    "reviewer": [{"tool": "verdict", "args": VERDICT}],
    "mentor": [
        {"tool": "propose_roles", "args": {"summary": "x", "changes": [{**CHANGE, "old": "not there"}]}},
        {"tool": "propose_roles", "args": {"summary": "It went well.", "changes": [CHANGE]}},
    ],
}


def test_the_mentor_proposes_a_diff(tmp_path: Path) -> None:
    for name, steps in SCRIPTS.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"steps": steps}))
    model = RecordedLLM(tmp_path)
    feature = {"id": "one", "title": "One", "brief": "Write it. [[script:build]]", "partition": ["src/one.py"]}
    try:
        with clean_workspace(SHOP) as workspace:
            config = workspace.folder / "config" / "aegis-tui" / "config.toml"
            config.parent.mkdir()
            config.write_text(f'base_url = "{model.base_url}"\n')
            assert workspace.aegis("hub", "start").code == 0
            hub = workspace.hub()
            assert hub is not None
            options = {"base_url": model.base_url, "role_notes": {"reviewer": "[[script:reviewer]]"}}
            design = {"goal": "Count", "features": [feature]}
            run = hub.command("run:start", goal="Count [[script:mentor]]", design=design, options=options)["run"]
            assert workspace.aegis("mentor", run, "--json").json["error"]["code"] == "run.open"
            assert workspace.aegis("wait", run, "--json").json["ok"]
            done = workspace.aegis("mentor", run)
            assert done.code == 0, done.err
            assert "\x1b" not in done.out and f"git apply .agents/diffs/{run}-mentor.diff" in done.out
            assert "not once" in model.results("mentor")[0]
            workspace.git("apply", f".agents/diffs/{run}-mentor.diff")
            shown = workspace.aegis("roles", "show", "worker", "--json").json
            assert shown["role"]["origin"] == "team" and "Say why you report failed." in shown["prompt"]
            assert workspace.aegis("hub", "stop").code == 0
    finally:
        model.close()
