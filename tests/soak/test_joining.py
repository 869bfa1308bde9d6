"""PERF-17: agents join and leave for minutes, and the hub's memory does not grow with those that are gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from aegis_tui.sdk.discovery import WorkspacePaths, is_running, start_hub, workspace_key_of, workspace_paths
from aegis_tui.sdk.quick import HubAddress, HubQuick

HERE = Path(__file__).parent
AGENTS, LIFE_S = 50, 6.0
WARM_UP_S, WARM_UP_AGENTS = 90.0, 600
"""Until so long has passed and so many have come and gone, whatever is bounded fills up for the first time."""

MEASURED_S, SAMPLE_S = 480.0, 5.0
EDGE_S = 60.0
"""The first and the last so many seconds of what is measured are compared by their medians."""

MOST_GROWTH = 0.05
MOST_STATE_BYTES = 256 * 1024


@dataclass
class Place:
    root: Path
    paths: WorkspacePaths
    address: HubAddress


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    root, runtime = tmp_path / "repo", Path(tempfile.mkdtemp(prefix="aj", dir="/tmp"))
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("AEGIS_PORT", "0")
    paths = workspace_paths(workspace_key_of(root), os.environ)
    address = start_hub(paths, root)
    yield Place(root, paths, address)
    os.kill(address.pid, signal.SIGTERM)
    while is_running(address.pid, address.start_time):
        time.sleep(0.01)
    shutil.rmtree(runtime)


@dataclass(frozen=True)
class Sample:
    at_s: float
    rss_mib: float
    gone: int
    """How many agents have come and gone by then."""


def median_mib(samples: list[Sample], start_s: float, end_s: float) -> float:
    return statistics.median(item.rss_mib for item in samples if start_s <= item.at_s <= end_s)


def growth_of(samples: list[Sample], *, warm_up_s: float, edge_s: float) -> float:
    """By which share the memory grew from the first seconds after the warm-up to the last ones."""
    last_s = samples[-1].at_s
    first = median_mib(samples, warm_up_s, warm_up_s + edge_s)
    return median_mib(samples, last_s - edge_s, last_s) / first - 1


def watch(place: Place, crowd: subprocess.Popen[bytes], journal: Path) -> tuple[list[Sample], float]:
    """Take samples of the hub through warm-up and measurement, and print each; also when the warm-up was over."""
    hub, started, samples = psutil.Process(place.address.pid), time.monotonic(), list[Sample]()
    warm_s = None
    while warm_s is None or time.monotonic() - started < warm_s + MEASURED_S:
        at_s = time.monotonic() - started
        assert crowd.poll() is None, "the agents ended"
        gone = journal.read_bytes().count(b"\n") if journal.exists() else 0
        samples.append(Sample(at_s, hub.memory_info().rss / 2**20, gone))
        print(f"{at_s:6.0f} s  {samples[-1].rss_mib:7.1f} MiB  {gone:5d} have come and gone", flush=True)
        if warm_s is None and at_s >= WARM_UP_S and gone >= WARM_UP_AGENTS:
            warm_s = at_s
        time.sleep(SAMPLE_S)
    return samples, warm_s


def test_growth_is_the_last_seconds_over_the_first_ones_after_the_warm_up() -> None:
    samples = [Sample(at, 50 if at < 10 else 100 + at / 10, 0) for at in range(101)]
    assert growth_of(samples, warm_up_s=10, edge_s=20) == pytest.approx(109 / 102 - 1)


@pytest.mark.soak
@pytest.mark.timeout(2_400)
def test_memory_does_not_grow_with_agents_that_join_and_leave(place: Place, tmp_path: Path) -> None:
    journal, token_file = tmp_path / "journal", tmp_path / "token"
    token_file.touch(0o600)
    token_file.write_text(place.address.token)
    argv = [str(HERE / "joining_agents.py"), place.address.socket, str(token_file), str(journal)]
    crowd = subprocess.Popen([sys.executable, *argv, str(AGENTS), str(LIFE_S), "1"], stdin=subprocess.DEVNULL)
    try:
        samples, warm_s = watch(place, crowd, journal)
        state_bytes = len(json.dumps(HubQuick(place.address).state()))
    finally:
        crowd.terminate()
        crowd.wait()
    growth = growth_of(samples, warm_up_s=warm_s, edge_s=EDGE_S)
    first = median_mib(samples, warm_s, warm_s + EDGE_S)
    print(
        f"{AGENTS} agents at once, {samples[-1].gone} came and went in {samples[-1].at_s:.0f} s; after "
        f"{warm_s:.0f} s of warm-up {first:.1f} MiB, at the end {first * (1 + growth):.1f} MiB: "
        f"memory growth {100 * growth:+.1f}%; /v1/state {state_bytes / 1024:.0f} KiB"
    )
    assert samples[-1].gone > 10 * AGENTS
    assert state_bytes < MOST_STATE_BYTES
    assert growth < MOST_GROWTH
