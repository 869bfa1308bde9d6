"""Tries to get out of a real sandbox, around a real worktree of a real repository."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from aegis_tui.ports.sandbox import SandboxLevel
from tests.adapters.sandbox.lab import BRANCH, Lab, git, needs_bwrap

LOOK_UP = r"""
import asyncio, os, socket, sys
from aegis_tui.agent.name_server import open_name_server
server = open_name_server({"AEGIS_SANDBOX": "bubblewrap"})
names = []
async def look_up(program):
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    return (await child.communicate())[0].decode().strip()
async def main():
    async with server.serve(names.append):
        for host in ("Example.org", "example.org", "files.example.net", "localhost"):
            print(await look_up(f"import socket\ntry: socket.getaddrinfo('{host}', 443); print('found')\n"
                                "except OSError as error: print(error)"))
        print(await look_up("print(open('/proc/self/status').read().split('CapEff:')[1].split()[0])"))
    print(names)
asyncio.run(main())
"""


@pytest.mark.boundary(
    layer="namespace",
    tried="looking up names, so that a name server outside would learn them",
    refused="the only name server is in the sandbox: no name exists, and the names are recorded",
)
@needs_bwrap
def test_a_name_is_refused_at_once_and_recorded(lab: Lab) -> None:
    environment = {**lab.spec.environment, "PYTHONPATH": str(Path(__file__).parents[3])}
    spec = replace(lab.spec, serves_names=True, environment=environment)
    done = lab.run(sys.executable, "-c", LOOK_UP, spec=spec)

    assert done.returncode == 0, done.stderr
    *answers, capabilities, names = done.stdout.splitlines()
    assert answers[:3] == ["[Errno -2] Name or service not known"] * 3, done.stderr
    assert answers[3] == "found", "localhost is in /etc/hosts"
    assert int(capabilities, 16) == 0, "the right to listen on port 53 is not passed on"
    assert names == "['example.org', 'files.example.net']"


@needs_bwrap
def test_a_commit_in_the_worktree_works(lab: Lab) -> None:
    script = "echo 'x = 2' > file.py && git add file.py && git commit -qm 'feat: inside' && git status --porcelain"
    done = lab.run("bash", "-c", script)

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert git("log", "-1", "--format=%s by %an", BRANCH, cwd=lab.repository) == "feat: inside by W"
    git("fsck", "--strict", cwd=lab.repository)


@pytest.mark.boundary(
    layer="namespace",
    tried="a write to the checkout, the common git folder, hooks, other refs, the system",
    refused="read-only inside, or absent",
)
@needs_bwrap
def test_nothing_outside_the_worktree_can_be_written(lab: Lab) -> None:
    for path in (
        lab.repository / "file.py",
        lab.repository / "new.py",
        lab.common / "config",
        lab.common / "HEAD",
        lab.common / "packed-refs",
        lab.common / "hooks" / "pre-commit",
        lab.common / "refs" / "heads" / "main",
        lab.common / "refs" / "stash",
        lab.worktree / ".git",
        lab.admin / "commondir",
        lab.admin / "gitdir",
        lab.admin / "config.worktree",
        lab.runtime / "hub.json",
        lab.worktree.parent / "w02",
        Path("/usr/bin/evil"),
    ):
        assert not lab.writes(path), path
    assert lab.writes(lab.worktree / "new.py")


@pytest.mark.boundary(
    layer="namespace",
    tried="git commands that move other refs or write the configuration",
    refused="git fails; refs and configuration are unchanged, byte for byte",
)
@needs_bwrap
def test_git_inside_cannot_move_other_refs_nor_the_configuration(lab: Lab) -> None:
    assert lab.run("git", "commit", "-q", "--allow-empty", "-m", "feat: ahead of the others").returncode == 0
    for argv in (
        ("update-ref", "refs/heads/other", "HEAD"),
        ("branch", "-f", "other", BRANCH),
        ("branch", "mine", BRANCH),
        ("tag", "v1"),
        ("stash", "push", "-u"),
        ("config", "core.hooksPath", "/tmp"),
        ("config", "--worktree", "core.fsmonitor", "/tmp/evil"),
    ):
        (lab.worktree / "dirty").write_text("x", encoding="utf-8")
        before = git("for-each-ref", cwd=lab.repository), (lab.common / "config").read_bytes()
        done = lab.run("git", *argv)
        assert done.returncode != 0, argv
        assert (git("for-each-ref", cwd=lab.repository), (lab.common / "config").read_bytes()) == before, argv


@pytest.mark.boundary(
    layer="namespace",
    tried="renaming, replacing or deleting .git or the worktree's git folder",
    refused="a mount point cannot be moved",
)
@needs_bwrap
def test_the_guards_cannot_be_moved_away(lab: Lab) -> None:
    before = (lab.worktree / ".git").read_bytes()
    for script in (
        "rm -f .git",
        "mv .git x",
        "ln -sf /tmp .git",
        f"mv {lab.admin} {lab.admin}2",
        f"rm -rf {lab.admin}",
    ):
        lab.run("bash", "-c", script)
        assert (lab.worktree / ".git").read_bytes() == before
        assert (lab.admin / "commondir").read_text(encoding="utf-8") == "../..\n"


@pytest.mark.boundary(
    layer="namespace",
    tried="reading the person's home, other worktrees, the hub's record",
    refused="does not exist inside",
)
@needs_bwrap
def test_what_nobody_named_is_not_there(lab: Lab, tmp_path: Path) -> None:
    home_file = Path.home() / f".aegis-sandbox-test-{os.getpid()}"
    home_file.write_text("secret", encoding="utf-8")
    try:
        done = lab.python(
            "import os, sys; print([p for p in sys.argv[1:] if os.path.lexists(p)])",
            *(str(path) for path in (lab.runtime / "hub.json", lab.repository / "file.py", home_file)),
            *(
                "/etc/shadow",
                "/var/lib",
                "/var/run/docker.sock",
                "/root/.ssh",
                str(tmp_path / "state/log.db"),
            ),
        )
    finally:
        home_file.unlink()
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
    assert lab.run("cat", "/etc/resolv.conf").stdout.splitlines()[0] == "nameserver 127.0.0.1", (
        "not that of the machine"
    )


@pytest.mark.boundary(
    layer="namespace",
    tried="reading variables of the hub's environment",
    refused="only the variables that were given to the agent exist",
)
@needs_bwrap
def test_the_environment_is_only_what_was_given(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_SECRET_IN_PARENT", "x")
    seen = dict(line.split("=", 1) for line in lab.run("env").stdout.splitlines())

    assert seen == {**lab.spec.environment, "PWD": str(lab.worktree)}
    kept = lab.run("env", spec=replace(lab.spec, environment={}, keep_environment=True))
    assert "AEGIS_SECRET_IN_PARENT=x" in kept.stdout.splitlines()


@pytest.mark.boundary(
    layer="namespace", tried="connecting by TCP, to abstract sockets, to other programs", refused="unreachable"
)
@needs_bwrap
def test_no_network_but_the_sockets_that_were_given(lab: Lab) -> None:
    path = lab.runtime / "hub.sock"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()

        def answer() -> None:
            connection, _ = unix.accept()
            with connection:
                connection.sendall(b"hello")

        thread = threading.Thread(target=answer)
        thread.start()
        code = """
import socket, sys
def attempt(action):
    try:
        action()
        return "reached"
    except OSError as error:
        return "refused"
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b"x", ("8.8.8.8", 53))
print(attempt(lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2])), 2)))
print(attempt(lambda: socket.getaddrinfo("example.com", 80)))
print(attempt(udp))
with socket.socket(socket.AF_UNIX) as client:
    client.connect(sys.argv[1])
    print(client.recv(10).decode())
"""
        spec = replace(lab.spec, read_only=(*lab.spec.read_only, path))
        done = lab.run("python3", "-c", code, str(path), str(tcp.getsockname()[1]), spec=spec)
        if thread.is_alive():
            socket.socket(socket.AF_UNIX).connect(str(path))
        thread.join(5)
    assert done.stdout.split() == ["refused", "refused", "refused", "hello"], done.stderr


@needs_bwrap
def test_this_package_and_its_python_run_inside(lab: Lab) -> None:
    done = lab.run(sys.executable, "-c", "import aegis_tui.errors, pydantic, ssl, sqlite3; print('fine')")

    assert (done.stdout, done.stderr) == ("fine\n", "")


@pytest.mark.boundary(
    layer="namespace", tried="writing in the worktree of a reviewer or scout", refused="read-only inside"
)
@needs_bwrap
def test_a_worktree_can_be_shown_without_being_writable(lab: Lab) -> None:
    spec = replace(lab.spec, worktree_writable=False)
    done = lab.run("bash", "-c", "cat file.py; echo x > file.py", spec=spec)

    assert done.stdout == "x = 1\n"
    assert done.returncode != 0
    assert (lab.worktree / "file.py").read_text(encoding="utf-8") == "x = 1\n"


@pytest.mark.boundary(
    layer="namespace",
    tried="a process that leaves its session in order to outlive its agent",
    refused="ends with the sandbox",
)
@needs_bwrap
def test_a_daemon_inside_dies_with_the_sandbox(lab: Lab) -> None:
    marker = f"86{os.getpid()}"
    script = f"setsid -f sleep {marker}; echo ready; sleep 86400"
    argv = lab.sandbox.wrap(["bash", "-c", script], lab.spec, SandboxLevel.BUBBLEWRAP)
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        until(lambda: _sleepers(marker), "the daemon runs")
        process.kill()
    until(lambda: not _sleepers(marker), "the daemon is gone")


def _sleepers(marker: str) -> list[int]:
    return [item.pid for item in psutil.process_iter(["cmdline"]) if item.info["cmdline"] == ["sleep", marker]]


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A private tmux server."""
    name = f"aegis-sandbox-{os.getpid()}"

    def run(*argv: str) -> str:
        command = ["tmux", "-L", name, "-f", "/dev/null", *argv]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10, check=False, cwd=tmp_path
        )
        return done.stdout

    yield run
    run("kill-server")


@needs_bwrap
@pytest.mark.skipif(shutil.which("tmux") is None, reason="missing: tmux")
def test_the_terminal_of_a_pane_works_inside(lab: Lab, tmux: Callable[..., str]) -> None:
    code = """
import os, signal, sys
print("tty", os.isatty(0), tuple(os.get_terminal_size()), open("/dev/tty").isatty(), flush=True)
def stop(*_):
    print("interrupted", flush=True)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGWINCH, lambda *_: print("size", os.get_terminal_size().columns, flush=True))
for line in sys.stdin:
    print("line", line.strip(), flush=True)
"""
    spec = replace(lab.spec, environment={**lab.spec.environment, "TERM": "tmux-256color"})
    argv = lab.sandbox.wrap(["python3", "-c", code], spec, SandboxLevel.BUBBLEWRAP)
    tmux("new-session", "-d", "-x", "100", "-y", "30", "-s", "s", *argv)

    def screen() -> str:
        return tmux("capture-pane", "-p", "-t", "s")

    until(lambda: "tty True (100, 30) True" in screen(), "the terminal is there")
    tmux("send-keys", "-t", "s", "hello", "Enter")
    until(lambda: "line hello" in screen(), "a line was read")
    tmux("send-keys", "-t", "s", "C-c")
    until(lambda: "interrupted" in screen(), "Ctrl-C arrived")
    tmux("resize-window", "-t", "s", "-x", "80")
    until(lambda: "size 80" in screen(), "the new size arrived")


@pytest.mark.boundary(layer="namespace", tried="a test of QA that writes to the terminal", refused="it has no terminal")
@needs_bwrap
def test_a_command_with_a_session_of_its_own_has_no_terminal(lab: Lab) -> None:
    spec = replace(lab.spec, own_session=True)
    done = lab.run("python3", "-c", "open('/dev/tty')", spec=spec)

    assert "No such device or address" in done.stderr


@pytest.mark.boundary(
    layer="namespace", tried="listing or writing the checkout", refused="only links to its worktree, read-only"
)
@needs_bwrap
def test_a_hidden_folder_is_empty_and_closed_but_for_what_is_named_in_it(lab: Lab) -> None:
    spec = replace(lab.spec, hidden=(lab.repository,))
    script = "ls -A; echo x > evil || git -C .git log -1 --format=%s; echo x > .git/objects/x && rm .git/objects/x"
    done = lab.run("bash", "-c", f"cd {lab.repository} && {{ {script}; }}", spec=spec)

    assert done.stdout.split() == [".git", "first"]
    assert "evil: Read-only file system" in done.stderr
    assert done.returncode == 0
