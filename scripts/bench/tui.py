"""PERF-4 and PERF-5: what the dashboard costs, how soon a key shows, and how soon there is a first frame.

The app runs in a pseudo-terminal of this process, which reads what it draws: a key is timed from the write of its
byte to the arrival of the output that names the next instance in the preview's title, without a poll in between;
the picture of that instance's pane comes after it.
Panes are a real tmux server's; events come from memory (`tui_session.py`), so the hub's work is not counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from aegis_tui.adapters.tmux.terminal import TmuxTerminal
from aegis_tui.ports.terminal import PaneSpec
from scripts.bench.bare import LINES_PER_S, PANES, line_of
from scripts.bench.pty_program import PtyProgram
from scripts.bench.record import ROOT, Figure
from scripts.bench.tui_truth import current_truth

CPU_SAMPLES, CPU_SAMPLE_S = 4, 5.0
KEY_ROUNDS, KEYS = 3, 100
KEY_PAUSE_S = 0.03
STARTS = 10
SETTLE_S = 3.0
TRUTHS = 5
_SESSION = Path(__file__).with_name("tui_session.py")
_BARE = Path(__file__).with_name("bare.py")


def run_tui() -> list[Figure]:
    """Measure a busy dashboard, an idle one, and cold starts, each beside a bare Textual app in the same run."""
    with _place() as folder:
        with _panes(folder) as (socket, panes):
            card = {"socket": socket, "panes": list(panes)}
            with _session(folder, {**card, "is_busy": True}) as app, _writing(panes):
                busy, bare_busy = _cpu_in_turns(app.pid, folder)
                keys, bare_keys = _keys_in_turns(app, folder)
            with _session(folder, {**card, "is_busy": False}) as app:
                idle = _cpu(app.pid)
        starts = [(_first_frame(folder), _bare_frame(folder)) for _ in range(STARTS)]
        truths = current_truth(TRUTHS, environment(folder), folder)
    words = f"{PANES} panes of {LINES_PER_S} lines/s"
    of_app, of_bare = [_p99(samples) for samples in keys], [_p99(samples) for samples in bare_keys]
    frames, bare_frames = zip(*starts, strict=True)
    return [
        Figure("busy", f"CPU of the dashboard, {words} and {PANES} reports/s", "%", tuple(busy), "bare_busy"),
        Figure("bare_busy", f"CPU of a bare app with one RichLog, {words}", "%", tuple(bare_busy)),
        Figure("busy_ratio", "CPU of the dashboard over that of the bare app", "×", _ratios(busy, bare_busy)),
        Figure("idle", f"CPU of the dashboard, {PANES} silent panes", "%", tuple(idle)),
        Figure("key", f"key to frame, {words}", "ms", tuple(value for samples in keys for value in samples)),
        Figure("bare_key", "key to frame, an idle bare app", "ms", tuple(v for samples in bare_keys for v in samples)),
        Figure("key_p99", f"key to frame, p99 of {KEYS} keys, {words}", "ms", tuple(of_app), "bare_key_p99"),
        Figure("bare_key_p99", f"key to frame, p99 of {KEYS} keys, an idle bare app", "ms", tuple(of_bare)),
        Figure("key_ratio", "key to frame, p99, over that of the idle bare app", "×", _ratios(of_app, of_bare)),
        Figure("frame", "first dashboard frame, a new process", "ms", frames, "bare_frame"),
        Figure("bare_frame", "first frame of a bare app with one label, a new process", "ms", bare_frames),
        Figure("frame_ratio", "first dashboard frame over that of the bare app", "×", _ratios(frames, bare_frames)),
        *truths,
    ]


def _ratios(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, ...]:
    """Pair by pair, as they took turns."""
    return tuple(round(our / their, 3) for our, their in zip(ours, theirs, strict=True))


def _p99(samples: list[float]) -> float:
    return round(statistics.quantiles(samples, n=100, method="inclusive")[-1], 3)


@contextlib.contextmanager
def _place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ab-tui-"))
    try:
        (folder / "repo").mkdir()
        for argv in (["init", "-q", "-b", "main"], ["-c", "user.name=B", "-c", "user.email=b@b", *_COMMIT]):
            subprocess.run(["git", *argv], cwd=folder / "repo", check=True, timeout=30)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_COMMIT = ("commit", "-q", "--allow-empty", "-m", "start")


def environment(folder: Path) -> dict[str, str]:
    """What the programs of a benchmark see: folders of their own below `folder`."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    places = {f"XDG_{name}_HOME": str(folder / name.lower()) for name in ("STATE", "CONFIG", "RUNTIME")}
    runtime = folder / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)
    return {
        **{"LANG": "C.UTF-8", **kept, **places},
        "PYTHONPATH": str(ROOT),
        "XDG_RUNTIME_DIR": str(runtime),
        "TMUX_TMPDIR": str(runtime),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }


@contextlib.contextmanager
def _panes(folder: Path) -> Iterator[tuple[str, dict[str, Path]]]:
    """A private tmux server with silent panes; pane id to its terminal."""
    socket = f"aegis-{secrets.token_hex(6)}"
    seen = environment(folder)
    tmux = ["tmux", "-L", socket]

    async def open_all() -> None:
        terminal = TmuxTerminal(socket, config_dir=folder / "tmux", environment=seen)
        try:
            await terminal.start()
            for number in range(1, PANES + 1):
                await terminal.open_pane(PaneSpec(f"w{number:02d}", ("sleep", "3600"), folder))
        finally:
            await terminal.close()

    try:
        asyncio.run(open_all())
        listed = subprocess.run(
            [*tmux, "list-panes", "-a", "-F", "#{window_name} #{pane_id} #{pane_tty}"],
            env=seen,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout
        rows = sorted(row.split() for row in listed.splitlines() if row.startswith("w"))
        yield socket, {pane: Path(tty) for _, pane, tty in rows}
    finally:
        subprocess.run([*tmux, "kill-server"], env=seen, timeout=10, check=False)


@contextlib.contextmanager
def _session(folder: Path, card: dict[str, object]) -> Iterator[PtyProgram]:
    (folder / "card.json").write_text(json.dumps(card), "utf-8")
    argv = [sys.executable, str(_SESSION), str(folder)]
    with PtyProgram(argv, environ=environment(folder), cwd=folder / "repo") as app:
        app.wait("w01 free ─ live", since=0)
        time.sleep(SETTLE_S)
        yield app


@contextlib.contextmanager
def _writing(panes: dict[str, Path]) -> Iterator[None]:
    """Every pane's terminal gets its lines from one thread: what prints must not take the cores."""
    stop = threading.Event()

    def write() -> None:
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(tty.open("wb", buffering=0)) for tty in panes.values()]
            number, due_at = 0, time.monotonic()
            while not stop.is_set():
                for at, file in enumerate(files):
                    file.write(f"{line_of(at, number)}\r\n".encode())
                number, due_at = number + 1, due_at + 1 / LINES_PER_S
                stop.wait(max(0.0, due_at - time.monotonic()))

    thread = threading.Thread(target=write, name="writer")
    thread.start()
    try:
        time.sleep(1.0)
        yield
    finally:
        stop.set()
        thread.join()


def _cpu_in_turns(pid: int, folder: Path) -> tuple[list[float], list[float]]:
    """As `_cpu`, of the dashboard and of a bare app that writes the same lines, one after the other."""
    ours, theirs = [], []
    for _ in range(CPU_SAMPLES):
        ours += _cpu(pid, 1)
        with _bare(folder, "log") as bare:
            bare.wait("pane 0", since=0)
            time.sleep(SETTLE_S)
            theirs += _cpu(bare.pid, 1)
    return ours, theirs


def _cpu(pid: int, count: int = CPU_SAMPLES) -> list[float]:
    """Share of one core, in percent, of several spans after one another."""
    process, samples = psutil.Process(pid), []
    for _ in range(count):
        began, before = time.monotonic(), process.cpu_times()
        time.sleep(CPU_SAMPLE_S)
        after, spent_s = process.cpu_times(), time.monotonic() - began
        used_s = after.user + after.system - before.user - before.system
        samples.append(round(100 * used_s / spent_s, 2))
    return samples


def _keys_in_turns(app: PtyProgram, folder: Path) -> tuple[list[list[float]], list[list[float]]]:
    """Key to frame of the busy dashboard and of an idle bare app, round by round."""
    ours, theirs = [], []
    with _bare(folder, "label") as bare:
        bare.wait("bare w01 free", since=0)
        for _ in range(KEY_ROUNDS):
            app.press("g")
            time.sleep(0.5)
            app.press("\x1b")
            time.sleep(0.5)
            ours.append(_keys(app))
            theirs.append(_keys(bare))
    return ours, theirs


@contextlib.contextmanager
def _bare(folder: Path, what: str) -> Iterator[PtyProgram]:
    with PtyProgram([sys.executable, str(_BARE), what], environ=environment(folder), cwd=folder / "repo") as app:
        yield app


def _keys(app: PtyProgram) -> list[float]:
    """Milliseconds from each of many keys to the frame that shows the next number."""
    samples = []
    at = int(app.last(r" w(\d\d) free "))
    step = 1 if at <= PANES // 2 else -1
    for _ in range(KEYS):
        step = -step if not 1 <= at + step <= PANES else step
        at += step
        seen, began = app.size, time.perf_counter()
        app.press("j" if step > 0 else "k")
        arrived = app.wait(f" w{at:02d} free ", since=seen)
        samples.append(round((arrived - began) * 1000, 3))
        time.sleep(KEY_PAUSE_S)
    return samples


def _first_frame(folder: Path) -> float:
    """Milliseconds from the start of `aegis-tui` in a fresh process to its first frame."""
    script = Path(sys.executable).with_name("aegis-tui")
    began = time.perf_counter()
    with PtyProgram([str(script)], environ=environment(folder), cwd=folder / "repo") as app:
        return round((app.wait("╭─ Instances", since=0) - began) * 1000, 3)


def _bare_frame(folder: Path) -> float:
    """The same of a bare app with one label."""
    began = time.perf_counter()
    with _bare(folder, "label") as app:
        return round((app.wait("bare w01 free", since=0) - began) * 1000, 3)
