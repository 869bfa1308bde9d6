"""PERF-13: the code map of 1,000 Python files: built, brought up to date, asked, and shared by ten worktrees.

The files are those of the Python distributions that are installed beside this program, copied to a repository of their
own. A build is a process of its own, so that its memory and processor time can be told. Where aider is installed, its
repository map of the same files is timed between our builds (`aider_map.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import distributions
from itertools import count
from pathlib import Path

import psutil

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.adapters.code_map.store import SqliteMapStore
from aegis_tui.adapters.git.content import WorktreeFiles
from aegis_tui.application.batches import batched
from aegis_tui.application.code_map import CodeMap
from aegis_tui.ports.code_map import BlobKey
from scripts.bench.record import ROOT, Figure
from scripts.bench.wire import quantile

FILES, LEAST_LINES, MOST_LINES = 1_000, 150_000, 600
"""How many files, how many lines they have together at least, and how many one of them has at most."""

COLD_RUNS, CHANGES, LOOK_UPS, SYMBOLS, WORKTREES = 5, 40, 5_000, 100_000, 10
AIDER_RUNS = 2
_COMMITTING = ("-c", "user.name=Bench", "-c", "user.email=bench@example.org", "commit", "-qm")


def run_code_map() -> list[Figure]:
    """Build the map several times, then change files, look names up, and add worktrees."""
    with tempfile.TemporaryDirectory(prefix="aegis-map-") as scratch:
        folder = Path(scratch)
        root, lines = _repository(folder)
        aider, others = aider_python(), []
        runs = []
        for number in range(COLD_RUNS):
            runs.append(_cold(root, folder / f"cold{number}.db"))
            if aider is not None and number < AIDER_RUNS:
                others.append(_aider(aider, root))
        about = f"{FILES:,} Python files, {lines:,} lines"
        return [
            Figure("cold", f"map of {about}, built anew", "s", tuple(item["wall_s"] for item in runs)),
            Figure("cold_cpu", "processor time of that, all processes", "s", tuple(item["cpu_s"] for item in runs)),
            Figure("peak", "its memory at most, all processes", "MB", tuple(item["peak_mb"] for item in runs)),
            Figure("changed", "brought up to date after one file changed", "ms", tuple(_changed(root, folder))),
            *_look_ups(folder),
            *_beside(others),
            Figure("worktrees", "size of the map of ten worktrees, over that of one", "×", (_worktrees(root, folder),)),
        ]


def aider_python() -> Path | None:
    """Return the Python that aider is installed for, by `scripts/install-agents` or on PATH; None without aider."""
    agents = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "aegis-tui/agents/bin"
    program = shutil.which("aider", path=os.pathsep.join([os.environ.get("PATH", ""), str(agents)]))
    python = Path(program).resolve().parent / "python" if program is not None else None
    return python if python is not None and python.exists() else None


def _aider(python: Path, root: Path) -> dict[str, float]:
    argv = [str(python), "-P", str(Path(__file__).with_name("aider_map.py")), str(root)]
    done = subprocess.run(argv, capture_output=True, check=True, timeout=600)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _beside(runs: list[dict[str, float]]) -> list[Figure]:
    """Return the figures of aider's repository map; none if it is not installed."""
    what = (
        ("tags_s", "aider: the tags of the same files, without a cache", "s", "cold"),
        ("tags_cpu_s", "aider: processor time of that", "s", "cold_cpu"),
        ("whole_s", "aider: its map for a prompt, tags and ranking, without a cache", "s", "cold"),
        ("changed_ms", "aider: its map for a prompt after one file changed", "ms", "changed"),
        ("peak_mb", "aider: its memory at most", "MB", "peak"),
    )
    if not runs:
        return []
    return [
        Figure(f"aider_{key}", words, unit, tuple(run[key] for run in runs), against)
        for key, words, unit, against in what
    ]


def _repository(folder: Path) -> tuple[Path, int]:
    """Make a repository of the files; return its folder and how many lines they have together."""
    chosen, lines = _sources()
    root = folder / "repo"
    for number, source in enumerate(chosen):
        place = root / f"part{number % 20}" / f"{number}_{source.name}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(source.read_bytes())
    for arguments in (("init", "-q"), ("add", "-A"), (*_COMMITTING, "files")):
        subprocess.run(["git", *arguments], cwd=root, check=True, timeout=120)
    return root, lines


def _installed() -> list[Path]:
    """Return the Python files of all installed distributions."""
    files = sorted(
        Path(str(file.locate()))
        for distribution in distributions()
        for file in distribution.files or ()
        if file.suffix == ".py" and not str(file).startswith("..")
    )
    return [file for file in dict.fromkeys(files) if file.is_file()]


def _sources() -> tuple[list[Path], int]:
    sizes = {file: file.read_bytes().count(b"\n") for file in _installed()}
    wanted = [file for file, size in sizes.items() if 0 < size <= MOST_LINES]
    chosen = random.Random(13).sample(wanted, FILES)
    lines = sum(sizes[file] for file in chosen)
    if lines < LEAST_LINES:
        raise SystemExit(f"only {lines} lines in {FILES} files are installed here")
    return chosen, lines


def _cold(root: Path, database: Path) -> dict[str, float]:
    argv = [sys.executable, "-P", __file__, str(root), str(database)]
    done = subprocess.run(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _build(root: Path, database: Path) -> dict[str, float]:
    """Build a map in this process and return what that took; memory is looked at every 10 ms."""
    sizes: list[int] = []
    done = threading.Event()
    watcher = threading.Thread(target=_watch_memory, args=(sizes, done))
    watcher.start()
    start = time.perf_counter()
    store = SqliteMapStore(database)
    CodeMap(WorktreeFiles(root), store, SourceReader()).refresh()
    wall_s = time.perf_counter() - start
    store.close()
    done.set()
    watcher.join()
    mine, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = mine.ru_utime + mine.ru_stime + others.ru_utime + others.ru_stime
    return {"wall_s": round(wall_s, 3), "cpu_s": round(cpu_s, 3), "peak_mb": round(max(sizes) / 1e6, 1)}


def _watch_memory(sizes: list[int], done: threading.Event) -> None:
    """Append the resident size of this process and its children, again and again; what they share counts for each."""
    process = psutil.Process()
    while not done.wait(0.01):
        size = process.memory_info().rss
        for child in process.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                size += child.memory_info().rss
        sizes.append(size)


def _changed(root: Path, folder: Path) -> list[float]:
    store = SqliteMapStore(folder / "cold0.db")
    code_map = CodeMap(WorktreeFiles(root), store, SourceReader())
    code_map.refresh()
    spent = []
    for number, place in zip(range(CHANGES), sorted(root.rglob("*.py"))[::20], strict=False):
        before = place.read_bytes()
        place.write_bytes(before + b"\n\ndef added_%d(value):\n    return value\n" % number)
        start = time.perf_counter()
        derived = code_map.refresh()["derived"]
        spent.append(round((time.perf_counter() - start) * 1000, 2))
        place.write_bytes(before)
        if derived != 1 or len(code_map.find(f"added_{number}")["symbols"]) != 1:
            raise SystemExit("the changed file is not in the map")
    store.close()
    return spent


def _look_ups(folder: Path) -> list[Figure]:
    """Look names up in a map of 100,000 symbols: of all installed files, and of more copies until that is reached."""
    store = SqliteMapStore(folder / "large.db")
    reader, view = SourceReader(), {}
    names: set[str] = set()
    sources = _installed()
    for number in count():
        texts = ((BlobKey(f"{number}/{at}", "python"), file.read_bytes()) for at, file in enumerate(sources))
        for batch in batched(reader.derive_all(texts, count=len(sources)), 200):
            store.put(batch)
            view.update({key.oid: key for key, _ in batch})
            names.update(item.symbol.name for _, entry in batch for item in entry.symbols)
            if (held := store.status().symbols) >= SYMBOLS:
                break
        if held >= SYMBOLS:
            break
    store.set_view(view)
    chance, rounds = random.Random(13), []
    asked = sorted(names)
    for _ in range(5):
        spent = []
        for _ in range(LOOK_UPS):
            name = chance.choice(asked)
            start = time.perf_counter()
            hits = store.named(name)
            spent.append((time.perf_counter() - start) * 1000)
            assert hits
        rounds.append(spent)
    what = f"look-up of a name among {held:,} symbols"
    figures = [
        Figure(f"named_{word}", f"{what}, {word}", "ms", tuple(round(quantile(spent, part), 4) for spent in rounds))
        for word, part in (("p50", 0.5), ("p99", 0.99))
    ]
    store.close()
    return figures


def _worktrees(root: Path, folder: Path) -> float:
    store = SqliteMapStore(folder / "shared.db")
    CodeMap(WorktreeFiles(root), store, SourceReader()).refresh()
    alone = store.status().size_bytes
    for number in range(1, WORKTREES):
        place = folder / f"tree{number}"
        subprocess.run(["git", "worktree", "add", "-q", "--detach", str(place)], cwd=root, check=True, timeout=120)
        for changed in sorted(place.rglob("*.py"))[number::100]:
            changed.write_bytes(changed.read_bytes() + b"\n\nCHANGED = %d\n" % number)
        CodeMap(WorktreeFiles(place), store, SourceReader()).refresh()
    ratio = store.status().size_bytes / alone
    store.close()
    return round(ratio, 3)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_build(Path(sys.argv[1]), Path(sys.argv[2]))))
