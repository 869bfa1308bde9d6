from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from libtmux.exc import LibTmuxException

from aegis_tui.adapters.process import find_identity, is_same_process_alive
from aegis_tui.adapters.tmux.config import server_environment
from aegis_tui.adapters.tmux.server import TmuxServer
from aegis_tui.adapters.tmux.terminal import TmuxTerminal
from aegis_tui.errors import TerminalError, TerminalUnavailable, UsageError
from aegis_tui.ports.terminal import PaneSpec

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["default", "", "aegis-", "aegis-../x", "aegis-a b"])
def test_no_server_but_a_private_one_is_ever_touched(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        TmuxServer(name, config_dir=tmp_path, environment={})


def test_the_environment_of_panes_is_utf8_and_holds_no_secret() -> None:
    given = {
        "PATH": "/bin",
        "HOME": "/h",
        "LC_ALL": "POSIX",
        "XDG_STATE_HOME": "/s",
        "AEGIS_STATE_DIR": "/s/k",
        "AEGIS_TOKEN": "x",
        "OPENAI_API_KEY": "x",
        "TMUX": "/tmp/x,1,0",
    }
    kept = server_environment(given)
    assert set(kept) == {"PATH", "HOME", "XDG_STATE_HOME", "AEGIS_STATE_DIR", "LANG", "TERM"}
    assert kept["LANG"].endswith("UTF-8")
    assert server_environment({"LC_ALL": "ko_KR.utf8"})["LC_ALL"] == "ko_KR.utf8"


@pytest.mark.parametrize("works", [True, False])
async def test_the_server_starts_in_a_scope_of_its_own_where_systemd_gives_one(
    tmp_path: Path, socket_name: str, environment: dict[str, str], works: bool
) -> None:
    called, fake = tmp_path / "called", tmp_path / "systemd-run"
    carry_out = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"' if works else "exit 1"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {called}\n{carry_out}\n')
    fake.chmod(0o755)
    with tempfile.TemporaryDirectory(dir="/tmp") as runtime, contextlib.closing(socket.socket(socket.AF_UNIX)) as bus:
        bus.bind(f"{runtime}/bus")
        given = environment | {"PATH": f"{tmp_path}:{environment['PATH']}", "XDG_RUNTIME_DIR": runtime}
        terminal = TmuxTerminal(socket_name, config_dir=tmp_path / "c", environment=given)
        await terminal.start()
    assert called.read_text().startswith("--user --scope")
    assert called.read_text().count("\n") == 1
    await terminal.stop_server()


async def test_a_missing_tmux_is_said_with_its_cure(tmp_path: Path, socket_name: str) -> None:
    terminal = TmuxTerminal(socket_name, config_dir=tmp_path, environment={"PATH": str(tmp_path)})
    with pytest.raises(TerminalUnavailable) as refused:
        await terminal.start()
    assert "install tmux" in refused.value.hint


async def test_a_tmux_that_cannot_be_started_is_the_terminals_error(
    tmp_path: Path, socket_name: str, environment: dict[str, str]
) -> None:
    fake = tmp_path / "tmux"
    fake.write_text("#!/bin/sh\n")
    fake.chmod(0o755)
    server = TmuxServer(socket_name, config_dir=tmp_path, environment={**environment, "PATH": f"{tmp_path}:/bin"})
    longer_than_any_argument = "x" * 10_000_000
    with pytest.raises(TerminalError, match="cannot be started"):
        await server.fork([["display-message", longer_than_any_argument]])
    with pytest.raises(LibTmuxException, match="cannot be started"):
        server.setup().cmd("display-message", longer_than_any_argument)
    fake.unlink()
    with pytest.raises(TerminalUnavailable):
        await server.start()
    with pytest.raises(TerminalUnavailable, match="cannot be started"):
        await server.fork([["list-sessions"]])
    with pytest.raises(TerminalUnavailable, match="cannot be started"):
        await server.stop()


async def test_a_tmux_that_is_too_old_is_refused(tmp_path: Path, socket_name: str) -> None:
    fake = tmp_path / "tmux"
    fake.write_text("#!/bin/sh\necho tmux 3.1c\n")
    fake.chmod(0o755)
    terminal = TmuxTerminal(socket_name, config_dir=tmp_path / "c", environment={"PATH": f"{tmp_path}:/bin"})
    with pytest.raises(TerminalUnavailable, match=r"3\.1c is too old"):
        await terminal.start()


async def test_the_configuration_is_private_and_in_force(
    ask: Callable[..., str], terminal: TmuxTerminal, tmp_path: Path
) -> None:
    config = tmp_path / "tmux" / "tmux.conf"
    assert (config.stat().st_mode & 0o777, config.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert sorted(path.name for path in config.parent.iterdir()) == ["home.sh", "tmux.conf"]
    wanted = {
        "prefix": "C-]",
        "history-limit": "20000",
        "default-size": "200x50",
        "mouse": "1",
        "status": "off",
        "remain-on-exit": "on",
        "set-clipboard": "off",
        "allow-passthrough": "0",
    }
    formats = "|".join(f"#{{{name}}}" for name in wanted)
    values = ask("display-message", "-p", "-t", "=aegis:", formats).split("|")
    assert dict(zip(wanted, values, strict=True)) == wanted
    assert ask("show-options", "-gv", "update-environment") == ""


@pytest.fixture
def hub_process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


async def test_the_server_ends_when_the_hub_is_gone_and_no_agent_lives(
    socket_name: str,
    tmp_path: Path,
    environment: dict[str, str],
    eventually: Callable[..., Awaitable[Any]],
    hub_process: subprocess.Popen[bytes],
) -> None:
    (tmp_path / "hub.lock").write_text(json.dumps({"pid": hub_process.pid, "runtime_dir": "/nowhere"}))
    ours = {**environment, "AEGIS_STATE_DIR": str(tmp_path), "AEGIS_ORPHAN_S": "2"}
    terminal = TmuxTerminal(socket_name, config_dir=tmp_path / "tmux", environment=ours)
    await terminal.start()
    pane = await terminal.open_pane(PaneSpec("w01", ("sleep", "6"), tmp_path, "w01"))
    agent = find_identity(pane.pid)
    hub_process.kill()
    hub_process.wait()
    assert agent is not None

    def is_over() -> bool:
        listens = _listens(terminal.socket_path)
        if lives := is_same_process_alive(agent):  # in this order: the two may end at the same moment
            assert listens, "the server did not wait for the agent that still lives"
        return not lives

    await eventually(is_over, timeout_s=20)
    await eventually(lambda: not _listens(terminal.socket_path), timeout_s=20)
    await terminal.close()
    terminal.socket_path.unlink(missing_ok=True)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


async def test_a_server_whose_every_start_fails_is_given_up_by_tries_and_not_by_a_clock(
    tmp_path: Path, socket_name: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    called, fake = tmp_path / "called", tmp_path / "bin" / "tmux"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\n[ "$1" = -V ] && echo tmux 3.4 && exit\necho "$@" >> {called}\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setattr("aegis_tui.adapters.tmux.server.START_TRIES", 3)
    given = environment | {"PATH": f"{fake.parent}:{environment['PATH']}"}
    server = TmuxServer(socket_name, config_dir=tmp_path / "c", environment=given)
    with pytest.raises(TerminalUnavailable, match="does not start"):
        await server.start()
    assert sum("new-session" in line for line in called.read_text().splitlines()) == 3
