"""Two workers change joint files in every way, by tools and commands, and all of it lands (LOCK-3, PART-1)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.e2e.test_regions import call, seen, serve
from tests.workspace import clean_workspace

TABLE, CONF = "src/table.txt", "conf/settings.ini"
FILES = {
    TABLE: "".join(f"line {number}\n" for number in range(20)),
    CONF: "[a]\nx = 1\n\n\n[b]\ny = 1\n",
    "docs/old.md": "# Old\n",
    "docs/gone.md": "# Gone\n",
    "bin/tool.sh": "#!/bin/sh\n",
    "assets/logo.bin": "logo\n",
    "tests/__init__.py": "",
    "tests/test_it.py": "import unittest\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        pass\n",
    ".gitignore": "__pycache__/\n",
}
DESIGN: dict[str, Any] = {
    "goal": "Change joint files",
    "features": [
        {"id": "alpha", "title": "Alpha", "brief": "Alpha. [[script:alpha]]", "partition": ["src/alpha/**"]},
        {"id": "beta", "title": "Beta", "brief": "Beta. [[script:beta]]", "partition": ["src/beta/**"]},
    ],
    "joint": [TABLE, CONF, "docs/**", "bin/**", "assets/*.bin"],
    "qa": {"commands": ["python3 -m unittest discover -t . -s tests"]},
}
DONE = call("report", status="done", summary="Add it")
SCRIPTS: dict[str, Any] = {
    "alpha": [
        call("lock", action="acquire", path="assets/logo.bin"),
        call("bash", command="printf 'a\\377b' > assets/logo.bin"),
        call("lock", action="release", path="assets/logo.bin"),
        call("rename", path="docs/old.md", to="docs/new.md"),
        call("delete", path="docs/gone.md"),
        call("bash", command=f"sed -i 's/x = 1/x = 2/' {CONF}; chmod +x bin/tool.sh"),
        call("write", path="src/alpha/new.txt", content="alpha\n"),
        call("edit", path=TABLE, old="line 1\n", new="line 1\nalpha's line\n"),
        call("report", gate="beta-wrote", status="done", summary="Add alpha"),
    ],
    "beta": [
        call("edit", gate="alpha-wrote", path=TABLE, old="line 18\n", new="line 18\nbeta's line\n"),
        call("edit", gate="alpha-merged", path=CONF, old="y = 1", new="y = 2"),
        call("bash", command="cat src/alpha/new.txt docs/new.md"),
        DONE,
    ],
    "reviewer": [call("verdict", decision="approve", criteria=[{"id": "works", "pass": True, "evidence": "read it"}])],
}


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(FILES) as scratch:
        yield scratch


def test_every_kind_of_change_lands_and_later_holders_are_told(workspace: ScratchWorkspace, tmp_path: Path) -> None:
    model = serve(tmp_path / "scripts", SCRIPTS)
    design = workspace.folder / "design.yaml"
    design.write_text(json.dumps(DESIGN))
    arguments = ["--design", str(design), "--base-url", model.base_url, "--headless", "--json"]
    process = workspace.start("run", "Joint files", *arguments, "--note", "reviewer=[[script:reviewer]]")
    try:
        workspace.until(lambda: seen(workspace, "code:written", file=TABLE), what="alpha to write the table")
        model.open_gate("alpha-wrote")
        workspace.until(lambda: len(seen(workspace, "code:written", file=TABLE)) == 2, what="beta to write the table")
        model.open_gate("beta-wrote")
        workspace.until(lambda: seen(workspace, "merge:applied", piece="alpha"), what="alpha to be merged")
        model.open_gate("alpha-merged")
        out, err = process.communicate(timeout=160)
        report = json.loads(out)
        told = model.results("beta")
        assert report["ok"], (report.get("error"), err, told)
        workspace.aegis("hub", "start")
        events = workspace.events()
        workspace.aegis("hub", "stop")
    finally:
        process.kill()
        process.communicate()
        model.close()
    assert f"has changed {TABLE} before you, for the piece alpha" in told[0] and "+alpha's line" in told[0]
    assert f"{CONF} has changed on the integration branch" in told[1] and "+x = 2" in told[1]
    assert told[2].startswith("alpha\n# Old")
    assert [event["data"] for event in events if event["type"] in ("piece:reopened", "merge:rejected")] == []
    show = "aegis/run1/result"
    assert workspace.git("show", f"{show}:{CONF}") == "[a]\nx = 2\n\n\n[b]\ny = 2"
    assert "alpha's line" in workspace.git("show", f"{show}:{TABLE}")
    assert "beta's line" in workspace.git("show", f"{show}:{TABLE}")
    changed = workspace.git("diff", "--summary", "HEAD", show)
    assert "rename docs/{old.md => new.md} (100%)" in changed and "delete mode 100644 docs/gone.md" in changed
    assert "mode change 100644 => 100755 bin/tool.sh" in changed
