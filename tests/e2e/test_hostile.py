"""An agent that replaces everything it can write, again and again, while a run goes on around it (SEC-1, GIT-6).

What it makes of its worktree, git folder, objects, refs and home: links to the person's files, pipes, folders, huge and
closed files. Its successor does the work, so that the run can end.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.testing.recorded_llm import RecordedLLM
from aegis_tui.testing.scratch import ScratchWorkspace
from tests.workspace import Served

VANDAL = """
import contextlib, http.client, json, os, random, re, signal, socket, sys, time
os.nice(10)
targets, rng = sys.argv[1:], random.Random(7)
git_dir = os.popen("git rev-parse --absolute-git-dir").read().strip()
common = os.popen("git rev-parse --path-format=absolute --git-common-dir").read().strip()
worktree, home, run = os.getcwd(), os.environ["HOME"], os.environ["AEGIS_RUN"]
refs = f"{common}/refs/heads/aegis/{run}"
logs = f"{common}/logs/refs/heads/aegis/{run}"
traps = [f"{refs}/integration.new", f"{refs}/integration", f"{refs}/{os.environ['AEGIS_INSTANCE']}"]
names = ("config.worktree.new", "config.worktree", "aegis.json.new", "HEAD", "index", "index.lock", "logs")
traps += [f"{git_dir}/{name}" for name in names]
traps += [f"{common}/objects/{part:02x}" for part in range(0, 256, 5)] + [f"{common}/objects/info/alternates"]
traps += [f"{worktree}/{name}" for name in (".gitignore", ".gitattributes", ".gitmodules", "README.md", "src/good")]
PROGRAM = "[core]\\n\\tfsmonitor = touch {0}\\n[filter \\"x\\"]\\n\\tclean = touch {0}\\n".format(targets[0])

def drop(path):
    with contextlib.suppress(OSError):
        os.chmod(path, 0o700, follow_symlinks=True) if not os.path.islink(path) else None
    with contextlib.suppress(OSError):
        os.unlink(path)
        return
    with contextlib.suppress(OSError):
        for name in os.listdir(path):
            drop(f"{path}/{name}")
        os.rmdir(path)

def spoil(path):
    kind = rng.randrange(8)
    target = rng.choice(targets)
    with contextlib.suppress(OSError):
        drop(path)
        if kind < 3:
            os.symlink(target, path)
        elif kind == 3:
            os.mkfifo(path)
        elif kind == 4:
            os.mkdir(path)
        elif kind == 5:
            with open(path, "w") as file:
                file.truncate((1 << 20) if path.startswith(worktree) else (1 << 40))
        elif kind == 6:
            with open(path, "w") as file:
                file.write(PROGRAM)
            os.chmod(path, 0)
        else:
            os.link(sys.executable, path)

def ask_hub():
    class Hub(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(os.environ["AEGIS_HUB"].removeprefix("unix:"))
    token = open(os.environ["AEGIS_TOKEN_FILE"]).read().strip()
    hub = Hub("localhost", timeout=10)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    command = {"v": 1, "request_id": os.urandom(8).hex(), "type": "context:get"}
    hub.request("POST", "/v1/commands", json.dumps(command), headers)
    return json.loads(hub.getresponse().read())

def paths():
    for top in (worktree, git_dir, f"{common}/objects", refs, logs, home, "/tmp"):
        for folder, folders, files in os.walk(top, topdown=False):
            for name in (*files, *folders):
                if name != ".git" and f"{folder}/{name}" != worktree:
                    yield f"{folder}/{name}"

ends_at = time.monotonic() + 60
while time.monotonic() < ends_at:
    for path in [*paths(), *traps]:
        spoil(path)
    for path in traps:
        spoil(path)
        time.sleep(0.001)
    with contextlib.suppress(Exception):
        if re.search(r'"completed": [1-9]', json.dumps(ask_hub())):
            break
os.kill(-1, signal.SIGKILL)
"""

DESIGN: dict[str, Any] = {
    "goal": "Two things",
    "features": [
        {"id": "bad", "title": "Bad", "brief": "Spoil. [[script:bad]]", "partition": ["src/bad/**"]},
        {"id": "good", "title": "Good", "brief": "Work. [[script:good]]", "partition": ["src/good/**"]},
    ],
    "qa": {"commands": ["python3 -m unittest discover -t . -s tests"]},
}
FILES = {
    "README.md": "Two things\n",
    "src/app.py": "APP = 1\n",
    "tests/__init__.py": "",
    "tests/test_app.py": "import unittest\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        pass\n",
}
DONE = {"tool": "report", "args": {"status": "done", "summary": "Add it"}}
needs_bwrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="missing: bwrap")


class Pulse:
    """Asks a server for a page all the time, from a thread, and counts the answers, and the questions without one."""

    def __init__(self, url: str, page: str) -> None:
        self.address, self.page = url.removeprefix("http://").partition("/")[0], page
        self.answers = self.unanswered = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            connection = http.client.HTTPConnection(self.address, timeout=20)
            try:
                connection.request("GET", self.page)
                is_well = connection.getresponse().status == 200
            except OSError:
                is_well = False
            finally:
                connection.close()
            self.answers += is_well
            self.unanswered += not is_well

    def close(self) -> None:
        self._stop.set()
        self._thread.join(30)


def prints(folder: Path) -> dict[str, tuple[int, str]]:
    """Mode and content of everything below a folder but git's own folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if inside.parts[0] != ".git" and path.name != "__pycache__" and path.suffix != ".pyc":
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            found[str(inside)] = (path.lstat().st_mode, digest)
    return found


def persons(workspace: ScratchWorkspace, canary: Path) -> dict[str, object]:
    """All that belongs to the person: checkout, index, refs, configuration, and a folder beside them."""
    folder = workspace.root / ".git"
    refs = workspace.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return {
        "checkout": prints(workspace.root),
        "canary": prints(canary),
        "refs": [ref for ref in refs if "/aegis/" not in ref],
        "index": (folder / "index").read_bytes(),
        "config": (folder / "config").read_bytes(),
        "HEAD": (folder / "HEAD").read_bytes(),
        "hooks": prints(folder / "hooks") if (folder / "hooks").exists() else None,
    }


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    scratch = Served()
    scratch.init(FILES)
    yield scratch
    scratch.aegis("hub", "stop")
    left = scratch.leftovers()
    scratch.close()
    assert left == []


def serve(folder: Path, targets: list[Path]) -> RecordedLLM:
    names = " ".join(f"'{path}'" for path in targets)
    command = f"case $AEGIS_INSTANCE in w01) exec python3 src/bad/vandal.py {names};; *) true;; esac"
    bad = [
        {"tool": "write", "args": {"path": "src/bad/vandal.py", "content": VANDAL}},
        {"tool": "bash", "args": {"command": command, "timeout_s": 60}, "gate": "go"},
        DONE,
    ]
    good = [{"tool": "write", "args": {"path": "src/good/g.py", "content": "G = 1\n"}, "gate": "go"}, DONE]
    reviewer = [
        {
            "tool": "verdict",
            "args": {"decision": "approve", "criteria": [{"id": "works", "pass": True, "evidence": "read"}]},
        }
    ]
    folder.mkdir()
    for name, steps in {"bad": bad, "good": good, "reviewer": reviewer}.items():
        (folder / f"{name}.json").write_text(json.dumps({"steps": steps}))
    return RecordedLLM(folder)


@pytest.mark.boundary(
    layer="hub files",
    tried="an agent that replaces everything it can write with links, pipes, folders, huge and unreadable files, during"
    " a run",
    refused="checkout, index, refs, configuration and a folder beside them are unchanged; the hub always answers; the"
    " run ends with its commit",
)
@needs_bwrap
@pytest.mark.timeout(400)  # three workers and three reviewers, one after the other
def test_a_vandal_changes_nothing_outside_and_the_run_ends(workspace: ScratchWorkspace, tmp_path: Path) -> None:
    canary = workspace.folder / "canary"
    canary.mkdir()
    (canary / "file").write_text("kept\n")
    hub = workspace.aegis("hub", "start", "--json").json
    git = workspace.root / ".git"
    targets = [canary / "file", canary, canary / "new", workspace.root / "src/app.py", git / "refs/heads/main"]
    targets += [git / "config", git / "index", Path(hub["socket"]).parent / "hub.json", Path("/dev/zero")]
    before = persons(workspace, canary)
    (workspace.folder / "design.json").write_text(json.dumps(DESIGN))
    with (
        contextlib.closing(serve(tmp_path / "scripts", targets)) as model,
        contextlib.closing(Pulse(hub["url"], "/healthz")) as pulse,
        contextlib.closing(Pulse(model.base_url, "/v1/models")) as machine,
    ):
        process = workspace.start(
            *("run", "g", "--design", str(workspace.folder / "design.json"), "--base-url", model.base_url),
            *("--headless", "--json", "--sandbox", "strict", "--note", "reviewer=[[script:reviewer]]"),
        )
        workspace.until(lambda: model.held("go") == 2, what="both workers")
        model.open_gate("go")
        out, err = process.communicate(timeout=160)
    report = json.loads(out)
    assert report["ok"], (report.get("error"), err)
    ended = {item["id"]: item["state"] for item in report["instances"] if item["feature"] == "bad"}
    assert ended.get("w01") == "lost" and ended.get("w03") == "done", ended
    assert persons(workspace, canary) == before
    # A server that has nothing to do says how fast the machine is: the hub is not much slower all in all.
    assert pulse.unanswered == 0 and pulse.answers > machine.answers / 4, (pulse.answers, machine.answers)
    workspace.git("fsck", "--full", "--strict")
    assert workspace.git("status", "--porcelain") == ""
    assert sorted(workspace.git("diff", "--name-only", "main", report["commit"]["oid"]).splitlines()) == [
        "src/bad/vandal.py",
        "src/good/g.py",
    ]
