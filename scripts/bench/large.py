"""PERF-6 and PERF-19: worktrees and a whole run in a repository of 50,000 files.

`git worktree add` and this program create worktrees by turns, each time the other one first, and each is removed before
the next. The run changes one line, with a model that answers at once; it is timed from the start of `aegis-tui run` to
the commit.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.ports.repository import Guard, RescueName, WorktreeSpec
from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace
from scripts.bench.large_place import EDITED, FILES, git, make_large
from scripts.bench.product import VERDICT
from scripts.bench.record import Figure

ROUNDS, RUNS = 5, 3

_LINE = "import pkg0501.mod00"
_STEPS: dict[str, list[dict[str, Any]]] = {
    "one": [
        {"tool": "read", "args": {"path": EDITED}},
        {"tool": "edit", "args": {"path": EDITED, "old": _LINE, "new": f"{_LINE}  # the next package"}},
        {"tool": "report", "args": {"status": "done", "summary": "docs: name the next package"}},
    ],
    "reviewer": [{"tool": "read", "args": {"path": EDITED}}, {"tool": "verdict", "args": VERDICT}],
}
_DESIGN = {
    "goal": "Name it",
    "features": [{"id": "one", "title": "Name it", "brief": "Do. [[script:one]]", "partition": [EDITED]}],
    "qa": {"commands": ["python3 -m unittest discover -s tests"]},
}


def run_large() -> list[Figure]:
    """Make the repository, create worktrees in it, then let runs change a line in it."""
    workspace = ScratchWorkspace()
    try:
        make_large(workspace.root)
        plain, usable, whole = _worktrees(workspace)
        spent = [_run(workspace, f"run{number}") for number in range(1, RUNS + 1)]
    finally:
        workspace.close()
    files = f"{FILES:,} files"
    median = statistics.median(plain)
    return [
        Figure("plain", f"`git worktree add`, {files}", "s", plain),
        Figure("usable", "a worker's worktree, until its partition can be edited", "s", usable, "plain"),
        Figure("whole", "the same worktree, until all files are there", "s", whole, "plain"),
        Figure(
            "usable_share", "until it can be edited, over the median of `git worktree add`", "×", _over(usable, median)
        ),
        Figure("whole_share", "until all files are there, over the same", "×", _over(whole, median)),
        Figure("change", f"one line changed in {files}: from the start of the run to its commit", "s", tuple(spent)),
    ]


def _over(samples: tuple[float, ...], median: float) -> tuple[float, ...]:
    return tuple(round(sample / median, 4) for sample in samples)


def _worktrees(workspace: ScratchWorkspace) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Create worktrees by turns; the seconds of git, and of this program until usable and until whole."""
    plain: list[float] = []
    ours: list[tuple[float, float]] = []
    for number in range(ROUNDS):
        sides: list[Callable[[], None]] = [
            lambda: plain.append(_add_plain(workspace)),
            lambda: ours.append(asyncio.run(_add_ours(workspace))),
        ]
        for side in sides if number % 2 == 0 else reversed(sides):
            side()
            os.sync()
    return tuple(plain), tuple(one for one, _ in ours), tuple(two for _, two in ours)


def _add_plain(workspace: ScratchWorkspace) -> float:
    place = workspace.folder / "plain"
    start = time.perf_counter()
    git(workspace.root, "worktree", "add", "-q", "-b", "plain", str(place))
    spent = time.perf_counter() - start
    git(workspace.root, "worktree", "remove", "--force", str(place))
    git(workspace.root, "branch", "-qD", "plain")
    return round(spent, 4)


async def _add_ours(workspace: ScratchWorkspace) -> tuple[float, float]:
    repository = await open_repository(workspace.root)
    branch, folder = "aegis/bench/w01", workspace.folder / "ours"
    guard = Guard(
        "NATIVE-w01", f"refs/heads/{branch}", "refs/heads/aegis/bench/integration", (EDITED,), folder / "hooks"
    )
    base = await repository.resolve("HEAD") or ""
    spec = WorktreeSpec("w01", folder / "w01", branch, base, guard, first=(EDITED,))
    start = time.perf_counter()
    made = await repository.add_worktree(spec)
    usable = time.perf_counter() - start
    assert (made.path / EDITED).is_file()
    await repository.completed(made.path)
    whole = time.perf_counter() - start
    assert git(made.path, "status", "--porcelain") == ""
    await repository.remove_worktree(made.path, rescue=RescueName("bench", "w01"))
    await repository.delete_ref(f"refs/heads/{branch}", base)
    return round(usable, 4), round(whole, 4)


def _run(workspace: ScratchWorkspace, name: str) -> float:
    """Change the line in one run; the seconds from its start to its commit.

    Raises:
        RuntimeError: The run failed.
    """
    with tempfile.TemporaryDirectory() as scenario:
        for script, steps in _STEPS.items():
            Path(scenario, f"{script}.json").write_text(json.dumps({"steps": steps}), "utf-8")
        design = workspace.folder / "design.yaml"
        design.write_text(json.dumps(_DESIGN), "utf-8")
        server = RecordedLLM(Path(scenario))
        options = ["--base-url", server.base_url, "--headless", "--json", "--note", "reviewer=[[script:reviewer]]"]
        try:
            start = time.time()
            done = workspace.aegis("run", "Name it", "--design", str(design), *options, timeout_s=300)
            events = [json.loads(line) for line in workspace.aegis("events", "--json").out.splitlines()]
        finally:
            workspace.aegis("hub", "stop", "--force")
            server.close()
    if done.code != 0:
        raise RuntimeError(f"the run failed: {done.out[-500:]} {done.err[-500:]}")
    (committed,) = (e for e in events if e["type"] == "run:committed" and e["data"]["run"] == name)
    return round(datetime.fromisoformat(committed["timestamp"].replace("Z", "+00:00")).timestamp() - start, 3)
