"""The program contacts nobody but the model server: the kernel counts, in a network that leads nowhere (SEC-4)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DRIVER = '''
import json, socket, subprocess, sys

def unreachable():
    """Packets and connections of any process of this network that had no route, since it was made."""
    lines = open("/proc/net/snmp").read().splitlines()
    tables = zip(lines[::2], lines[1::2])
    names, values = next((a.split(), b.split()) for a, b in tables if a.startswith("Ip:"))
    six = dict(line.split() for line in open("/proc/net/snmp6"))
    return int(values[names.index("OutNoRoutes")]) + int(six.get("Ip6OutNoRoutes", 0))

def attempt(family, kind, address):
    before = unreachable()
    with socket.socket(family, kind) as link:
        try:
            link.connect(address)
        except OSError:
            pass
    return unreachable() - before

def look_up(name):
    before = unreachable()
    try:
        socket.getaddrinfo(name, 443)
    except OSError:
        pass
    return unreachable() - before

seen = {
    "tcp": attempt(socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 443)),
    "udp": attempt(socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 53)),
    "name": look_up("telemetry.example.org"),
    "interfaces": [name for _, name in socket.if_nameindex()],
}
before = unreachable()
for name, argv in json.loads(sys.argv[1]).items():
    done = subprocess.run(argv, capture_output=True, text=True, timeout=150)
    seen[name] = json.loads(done.stdout)
    seen[name + " lost"] = unreachable() - before
print(json.dumps(seen))
'''
AEGIS = str(Path(sys.executable).with_name("aegis-tui"))
COMMANDS = {
    "doctor": [AEGIS, "doctor", "--json"],
    "demo": [AEGIS, "demo", "--headless", "--json", "--scenario", "calm", "--workers", "2", "--pace", "0"],
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="ae-") as name:
        yield Path(name)


def run_in_an_empty_network(folder: Path, commands: dict[str, list[str]]) -> dict[str, Any]:
    """What the driver saw, in a network namespace with the loopback interface alone."""
    resolver = folder / "resolv.conf"
    resolver.write_text("nameserver 192.0.2.53\noptions timeout:1 attempts:1\n")
    environ = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "TMPDIR"):
        environ[name] = str(folder / name.removeprefix("XDG_").lower()[:8])
        Path(environ[name]).mkdir(mode=0o700)
    network = ["bwrap", "--unshare-net", "--die-with-parent", "--dev-bind", "/", "/"]
    network += ["--ro-bind-try", str(resolver), os.path.realpath("/etc/resolv.conf"), "--"]
    argv = [*network, sys.executable, "-I", "-S", "-c", DRIVER, json.dumps(commands)]
    done = subprocess.run(argv, env=environ, cwd=folder, capture_output=True, text=True, timeout=200, check=False)
    if done.stderr.startswith("bwrap:"):
        pytest.skip("missing: namespaces, which this kernel or container refuses")
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.timeout(240)
@pytest.mark.boundary(
    layer="network",
    tried="doctor and a whole run (hub, gateway, agents, QA) on a machine where only loopback addresses are reachable",
    refused="everything works, and the kernel counts no connection, packet or name lookup to another machine: no "
    "telemetry",
)
def test_a_whole_run_in_an_empty_network_reaches_for_no_address(folder: Path) -> None:
    seen = run_in_an_empty_network(folder, COMMANDS)
    assert seen["interfaces"] == ["lo"]
    assert min(seen["tcp"], seen["udp"], seen["name"]) >= 1, "an attempt is not counted here: nothing would be proved"
    assert {check["name"] for check in seen["doctor"]["checks"]} >= {"python", "git", "model"}
    assert (seen["demo"]["ok"], seen["demo"].get("error")) == (True, None)
    assert (seen["demo"]["locks"]["waited"], seen["demo"]["conflicts"]) == (0, []), "a calm scenario reports none"
    assert (seen["doctor lost"], seen["demo lost"]) == (0, 0)
    assert [path.name for path in (folder / "tmpdir").iterdir()] == [], "the demo leaves nothing"
