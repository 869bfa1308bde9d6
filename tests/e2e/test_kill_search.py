"""kill -9 on a hub that looks for the piece that breaks QA, and while it composes the others anew (FLOW-7, PERF-22)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.e2e.test_kill import DONE, SCRIPTS, call, kill_hub, serve
from tests.workspace import clean_workspace

NAMES = ("alpha", "beta", "gamma", "delta")
CHECK = """import pathlib, sys, time
time.sleep(0.5)
sys.exit(any("bad" in path.read_text() for path in pathlib.Path("src").rglob("*.py")))
"""
DESIGN = {
    "goal": "Four things at once",
    "features": [
        {"id": name, "title": name, "brief": f"{name}. [[script:{name}]]", "partition": [f"src/{name}/**"]}
        for name in NAMES
    ],
    "qa": {"commands": ["python3 check.py"]},
}


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    """Pieces are not tested one by one, so that only QA of the whole finds the bad one."""
    settings = {".agents/config.toml": "[qa]\npieces = false\n"}
    with clean_workspace({"src/app.py": "APP = 1\n", "check.py": CHECK, **settings}) as scratch:
        yield scratch


def test_a_hub_killed_in_the_search_and_after_it_leaves_out_the_same_piece(
    workspace: ScratchWorkspace, tmp_path: Path
) -> None:
    texts = {name: "bad = 1\n" if name == "gamma" else "good = 1\n" for name in NAMES}
    written = {name: [call("write", path=f"src/{name}/it.py", content=text), DONE] for name, text in texts.items()}
    model = serve(tmp_path / "scripts", {**written, "reviewer": SCRIPTS["reviewer"]})
    try:
        place = workspace.folder / "design.yaml"
        place.write_text(json.dumps(DESIGN))
        arguments = ["--design", str(place), "--base-url", model.base_url, "--headless", "--json"]
        partial = ["--rounds", "0", "--partial", "--note", "reviewer=[[script:reviewer]]"]
        process = workspace.start("run", "Four things", *arguments, *partial)
        for kind in ("merge:culprits-sought", "piece:left-out"):
            workspace.until(
                lambda kind=kind: any(event["type"] == kind for event in workspace.events()),  # type: ignore[misc]
                what=kind,
            )
            kill_hub(workspace)
            assert workspace.aegis("hub", "start").code == 0
        out, err = process.communicate(timeout=160)
        assert out, err
        report = json.loads(out)
        assert (process.returncode, report["ok"]) == (3, False), report.get("error")
        assert [item["piece"] for item in report["left_out"]] == ["gamma"]
        branch = report["commit"]["branch"]
        files = workspace.git("diff", "--name-only", "main", branch).split()
        assert sorted(files) == sorted(f"src/{name}/it.py" for name in NAMES if name != "gamma")
        workspace.aegis("hub", "start")
        counts = Counter(event["type"] for event in workspace.events())
        for once in ("merge:culprits-sought", "piece:left-out", "merge:rebuilt", "run:committed", "run:finished"):
            assert counts[once] == 1, once
        assert workspace.git("show", f"{report['left_out'][0]['ref']}:src/gamma/it.py") == "bad = 1"
        workspace.aegis("hub", "stop")
    finally:
        model.close()
