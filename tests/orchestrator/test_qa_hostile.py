"""Code under test that does what it can: nothing outside the sandbox changes, and the status is true (FLOW-7, SEC-3).

One commit holds every trick of a project's own files; one run of QA lets all of them work at once. Meanwhile a thread
counts its turns between two of the event loop: they say whether the hub would have answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis_tui.config import Limits
from aegis_tui.domain.qa.assess import assess
from aegis_tui.orchestrator.qa_run import CommandRun
from tests.orchestrator.qa_lab import Lab

MISSING = "" if shutil.which("bwrap") else "bwrap"
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {MISSING}")

ATTACK = """
import os, sys
TARGETS = {targets!r}
who = sys.argv[0] if __name__ == "__main__" else __name__
for target in TARGETS:
    for act in (
        lambda: open(target, "a").write(who),
        lambda: os.replace(target, target + ".moved"),
        lambda: os.symlink("/etc/passwd", os.path.join(os.path.dirname(target), "planted")),
        lambda: os.link(target, "linked-" + os.path.basename(target)),
        lambda: os.chmod(target, 0o777),
    ):
        try:
            act()
        except OSError:
            pass
for number in range(2, os.getppid() + 50):
    try:
        number != os.getpid() and number != os.getppid() and os.kill(number, 0)
    except OSError:
        pass
os.makedirs("seen", exist_ok=True)
open("seen/" + who.replace("/", "_"), "w").close()
"""


def digest(folder: Path) -> dict[str, str]:
    """Every file and link below a folder, with its mode, its number of links and its content."""
    seen: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else ""
        if path.is_file() and not path.is_symlink():
            content = f"{status.st_nlink} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        seen[str(path.relative_to(folder))] = f"{status.st_mode:o} {content}"
    return seen


PRELOAD = """
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void act(void) {
    int file = open("TARGET", O_WRONLY | O_TRUNC);
    if (file >= 0) write(file, "preload", 7);
    file = open("seen/preload", O_WRONLY | O_CREAT, 0644);
    if (file >= 0) close(file);
}
"""
DAEMON = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
time.sleep(float(sys.argv[1]))
"""
BOMB = "bomb() { bomb | bomb & }; bomb; sleep 0.5; exit 3"
LIMITS = Limits(processes=100, disk_mb=16, file_mb=8, temporary_mb=1, output_mb=2, memory_mb=512)


def status_of(command: str, run: CommandRun) -> str:
    return assess(command, run.outcome, tools=run.tools).status


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "place", limits=LIMITS)


@pytest.mark.boundary(
    layer="namespace",
    tried="conftest.py, a pytest plugin, sitecustomize.py, a Makefile, package scripts and LD_PRELOAD of the tested "
    "tree write to, replace, link to and change the permissions of the checkout, its git folder, the state and the "
    "home",
    refused="all of them run in QA's sandbox, and nothing outside changes",
)
def test_what_the_tested_tree_brings_along_changes_nothing_outside(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    home = lab.folder / "home"
    (home / ".config").mkdir(parents=True)
    (home / ".bashrc").write_text("# theirs\n")
    monkeypatch.setenv("HOME", str(home))
    (lab.folder / "hub.json").write_text("{}")
    targets = [lab.root / "a.txt", lab.root / ".git" / "config", lab.root / ".git" / "hooks" / "pre-commit"]
    targets += [lab.folder / "hub.json", home / ".bashrc", home / ".config" / "x"]
    attack = ATTACK.format(targets=[str(target) for target in targets])
    for name in ("conftest.py", "plugin_of_theirs.py", "src/sitecustomize.py", "by_make.py", "by_npm.py"):
        lab.write(name, attack)
    lab.write("src/shop/__init__.py", "")
    lab.write("test_it.py", "def test_it(): pass\n")
    lab.write("pytest.ini", "[pytest]\naddopts = -p plugin_of_theirs\n")
    lab.write("Makefile", "export LD_PRELOAD = $(PWD)/preload.so\ntest:\n\tpython3 by_make.py\n")
    lab.write("package.json", '{"scripts": {"test": "python3 by_npm.py"}}')
    lab.write("preload.c", PRELOAD.replace("TARGET", str(targets[0])))
    oid = lab.commit_change("a.txt", "theirs\n", "changed\n")
    before = digest(lab.root), digest(home)
    commands = ["mkdir -p seen", "make test", "python3 -m pytest -q -p no:cacheprovider"]
    commands += ["cc -shared -fPIC -o preload.so preload.c && make test"] * bool(shutil.which("cc"))
    commands += ["npm test"] * bool(shutil.which("npm"))
    wanted = {"conftest", "plugin_of_theirs", "sitecustomize", "by_make.py"}
    wanted |= {"preload"} if shutil.which("cc") else set()
    wanted |= {"by_npm.py"} if shutil.which("npm") else set()
    [*_, listing] = lab.run(oid, *commands, "ls seen", sandbox="strict")
    assert wanted <= set(listing.outcome.output.split())
    assert (digest(lab.root), digest(home)) == before
    assert (lab.folder / "hub.json").read_text() == "{}"


class Turns:
    """Counts the turns that a thread of this process has between two of the event loop, however slow the machine is."""

    def __init__(self) -> None:
        self.longest = self._since = 0
        self._done = threading.Event()

    @contextlib.contextmanager
    def beside(self) -> Iterator[None]:
        thread = threading.Thread(target=self._count)
        thread.start()
        yield
        self._done.set()
        thread.join()

    def _count(self) -> None:
        while not self._done.wait(0.05):
            self._since += 1

    async def take(self) -> None:
        """Run for ever in the loop that is watched."""
        self._since = 0
        while True:
            await asyncio.sleep(0.05)
            self.longest, self._since = max(self.longest, self._since), 0


@pytest.mark.boundary(
    layer="limits",
    tried="a test that floods its output, fills the disk or the memory file system, is a fork bomb, ignores SIGTERM "
    "as a daemon, or kills its parent",
    refused="it is stopped with the reason, or reaches its limit; QA reports that it did not pass, and the hub answers",
)
@pytest.mark.parametrize(
    ("command", "statuses"),
    [
        ("yes 'all tests passed'", {"not_run"}),
        ("for i in 1 2 3 4 5; do head -c 7000000 /dev/zero > $i; done; sleep 60", {"not_run"}),
        ("head -c 7000000 /dev/zero > /tmp/full && echo 3 passed", {"failed"}),
        (BOMB, {"failed", "not_run"}),
        (f"python3 -c '{DAEMON}' 600", {"not_run"}),
        ("kill -9 $PPID; kill -9 -1; kill -9 $$", {"not_run"}),
        ("python3 -c 'import os, signal; os.killpg(0, signal.SIGKILL)'; sleep 60", {"not_run"}),
    ],
    ids=["output", "disk", "memory", "processes", "daemon", "parent", "group"],
)
def test_it_ends_with_a_true_status_while_the_hub_answers(lab: Lab, command: str, statuses: set[str]) -> None:
    oid = lab.commit_change("a.txt", "1\n", "2\n")
    before = digest(lab.root)
    turns = Turns()
    with turns.beside():
        [result] = lab.run(oid, command, sandbox="strict", timeout_s=4, meanwhile=turns.take)
    assert status_of(command, result) in statuses
    assert turns.longest < 40, "the loop stood still while a thread had that many turns"
    assert digest(lab.root) == before
    assert [path for path in Path("/proc").glob("[0-9]*/environ") if str(lab.state).encode() in _bytes(path)] == []


def test_a_daemon_that_stays_behind_does_not_hold_up_a_test_that_passed(lab: Lab) -> None:
    oid = lab.commit_change("a.txt", "1\n", "2\n")
    [result] = lab.run(oid, f"python3 -c '{DAEMON}' 0 && echo fine", sandbox="off", timeout_s=60)
    assert (result.outcome.exit_code, result.outcome.output) == (0, "fine\n")
    assert [path for path in Path("/proc").glob("[0-9]*/environ") if str(lab.state).encode() in _bytes(path)] == []


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
