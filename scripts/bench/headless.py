"""One goal to its commit by `aegis-tui run --headless`, with the logs that it leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace


def run_goal(
    scenario: Path,
    files: Mapping[str, str],
    features: Sequence[Mapping[str, Any]],
    check: str,
    *,
    workers: int,
    settings: str = "",
    pace: float = 0.0,
    timeout_s: float = 900.0,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run a goal in a repository of its own, and return the hub's events and the gateway's calls.

    Args:
        scenario: A folder with the scripts of the model; `reviewer` is that of every review.
        files: What the repository holds, path -> text.
        features: Those of the design.
        check: The QA command.
        workers: The most workers at once.
        settings: The person's settings file (TOML).
        pace: Tokens a second of each reply; 0 for replies at once.
        timeout_s: The limit for the run, in seconds.

    Raises:
        RuntimeError: The run failed.
    """
    server, workspace = RecordedLLM(scenario, pace=pace), ScratchWorkspace()
    try:
        workspace.init(files)
        config = Path(workspace.environ["XDG_CONFIG_HOME"]) / "aegis-tui" / "config.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(settings, "utf-8")
        design = workspace.folder / "design.yaml"
        design.write_text(json.dumps({"goal": "Parts", "features": features, "qa": {"commands": [check]}}), "utf-8")
        options = ["--base-url", server.base_url, "--workers", str(workers), "--headless", "--json"]
        options += ["--design", str(design), "--note", "reviewer=[[script:reviewer]]"]
        done = workspace.aegis("run", "Parts", *options, timeout_s=timeout_s)
        if done.code != 0:
            raise RuntimeError(f"the run failed: {done.out[-500:]} {done.err[-500:]}")
        events = [json.loads(line) for line in workspace.aegis("events", "--json").out.splitlines()]
        (log,) = Path(workspace.environ["XDG_STATE_HOME"]).rglob("model-calls.jsonl")
        return events, [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    finally:
        workspace.aegis("hub", "stop", "--force")
        workspace.close()
        server.close()
