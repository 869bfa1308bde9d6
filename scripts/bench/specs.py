"""PERF-12, the whole way: spec files that are dropped into a repository become commits.

Everything is the product's own: real files, the watcher of the hub, the claim, a worker process for each spec in its
own worktree, the submission as a diff file, a review of each, QA of the whole, one commit for the specs of a run. Left
out is the time of a real model: a server in a process of its own replies at once. Specs share commits; a commit for
each one, and workers that are kept for the next spec, are not measured, as the program has neither.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from aegis_tui.application.spec_text import load_spec
from aegis_tui.testing.scratch import ScratchWorkspace
from scripts.bench.record import Figure

SPECS = 12
ROUNDS = 2
DEADLINE_S = 600.0
_SERVER = Path(__file__).resolve().parents[2] / "tests" / "agent" / "other_model_server.py"
_FILES = {
    "README.md": "# Shop\n",
    "tests/test_app.py": "import unittest\n\n\nclass Works(unittest.TestCase):\n    def test_it(self) -> None:\n"
    "        self.assertTrue(True)\n",
}
_SPEC = """\
id: {name}
status: approved
metadata:
  title: Add {name}
  description: |
    FILE src/{name}.py: X = 1\\n
tasks:
  - {{id: T1, title: Write it, files: [src/{name}.py]}}
"""


def run_specs(count: int = SPECS, rounds: int = ROUNDS) -> list[Figure]:
    """Drop `count` files at once into a repository of its own, `rounds` times; seconds until each is completed."""
    rates: list[float] = []
    waits: list[float] = []
    for _ in range(rounds):
        taken = _dropped(count)
        rates.append(count / max(taken))
        waits += taken
    return [
        Figure("specs_rate", f"{count} specs dropped at once: from the files to their commit", "specs/s", tuple(rates)),
        Figure("specs_wait", "the time from dropping a spec to its completion", "s", tuple(waits)),
    ]


def _dropped(count: int) -> list[float]:
    """Return how long each spec took, in seconds.

    Raises:
        RuntimeError: One failed, or `DEADLINE_S` have passed.
    """
    server = subprocess.Popen([sys.executable, str(_SERVER)], stdout=subprocess.PIPE, text=True)
    workspace = ScratchWorkspace()
    try:
        if server.stdout is None:
            raise RuntimeError("the model server has no output")
        url = server.stdout.readline().strip()
        workspace.init(_FILES)
        config = Path(workspace.environ["XDG_CONFIG_HOME"]) / "aegis-tui" / "config.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(f'base_url = "{url}"\n', "utf-8")
        active = workspace.root / ".agents/specs/active"
        active.mkdir(parents=True)
        workspace.aegis("hub", "start")
        time.sleep(4.0)  # the hub starts nothing before
        draft = workspace.root / "drafts"
        draft.mkdir()
        names = [f"part{number}" for number in range(count)]
        for name in names:
            (draft / f"{name}.yaml").write_text(_SPEC.format(name=name), "utf-8")
        begun = time.monotonic()
        for name in names:
            (draft / f"{name}.yaml").rename(active / f"{name}.yaml")
        return _completed([active / f"{name}.yaml" for name in names], begun)
    finally:
        workspace.aegis("hub", "stop", "--force")
        workspace.close()
        server.terminate()
        server.wait(10)


def _completed(paths: list[Path], begun: float) -> list[float]:
    taken: dict[Path, float] = {}
    while len(taken) < len(paths):
        for path in paths:
            spec = None if path in taken else load_spec(path).spec
            if spec is not None and spec.status == "failed":
                raise RuntimeError(f"{spec.id} failed: {spec.error}")
            if spec is not None and spec.status == "completed":
                taken[path] = time.monotonic() - begun
        if time.monotonic() - begun > DEADLINE_S:
            raise RuntimeError(f"{len(paths) - len(taken)} specs are not completed")
        time.sleep(0.1)
    return list(taken.values())
