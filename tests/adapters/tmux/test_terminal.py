from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from aegis_tui.adapters.process import find_identity, is_same_process_alive
from aegis_tui.adapters.process_table import ProcessIdentity
from aegis_tui.adapters.tmux.control import ControlLost
from aegis_tui.adapters.tmux.server import TmuxServer
from aegis_tui.adapters.tmux.terminal import TmuxTerminal
from aegis_tui.errors import TerminalError, TerminalUnavailable, UsageError
from aegis_tui.ports.terminal import PaneExit, PaneSpec

pytestmark = pytest.mark.anyio
Ask = Callable[..., str]
Eventually = Callable[..., Awaitable[Any]]
SLEEP = ("sleep", "60")
DUMP = "import json, os, sys; json.dump([sys.argv[1:], dict(os.environ), os.getcwd()], open(os.environ['OUT'], 'w'))"


def server_pid(ask: Ask) -> int:
    return int(ask("display-message", "-p", "#{pid}"))


def control_clients(ask: Ask) -> list[int]:
    return [int(line) for line in ask("list-clients", "-F", "#{client_pid}").split()]


async def next_exit(terminal: TmuxTerminal) -> PaneExit:
    async with asyncio.timeout(8), contextlib.aclosing(terminal.exits()) as exits:
        return await anext(exits)


async def shown(terminal: TmuxTerminal, pane_id: str) -> str:
    shot = (await terminal.capture([pane_id])).get(pane_id)
    return "\n".join(shot.lines) if shot else ""


async def test_starting_twice_keeps_the_server(ask: Ask, terminal: TmuxTerminal) -> None:
    pid = server_pid(ask)
    await terminal.start()
    assert server_pid(ask) == pid


async def test_starting_a_server_that_serves_starts_no_program(
    terminal: TmuxTerminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(TmuxServer, "fork", refuse)
    await terminal.start()


async def test_two_that_start_the_server_at_once_share_it(
    socket_name: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    both = [TmuxTerminal(socket_name, config_dir=tmp_path / "tmux", environment=environment) for _ in range(2)]
    await asyncio.gather(*(terminal.start() for terminal in both))
    await both[1].close()
    await both[0].stop_server()


async def test_an_instance_has_one_pane_however_often_it_is_opened(terminal: TmuxTerminal, tmp_path: Path) -> None:
    first = await terminal.open_pane(PaneSpec("w01", SLEEP, tmp_path, "a title; #(id)"))
    assert await terminal.open_pane(PaneSpec("w01", SLEEP, tmp_path)) == first
    other = await terminal.open_pane(PaneSpec("w02", SLEEP, tmp_path))
    panes = await terminal.list_panes()
    assert [(pane.instance, pane.pane_id, pane.pid, pane.dead) for pane in panes] == [
        ("w01", first.pane_id, first.pid, False),
        ("w02", other.pane_id, other.pid, False),
    ]
    assert panes[0].title == "a title; #(id)"
    assert await terminal.find_pane("w03") is None


async def test_a_dead_pane_gives_way_to_a_new_one(
    terminal: TmuxTerminal, eventually: Eventually, tmp_path: Path
) -> None:
    first = await terminal.open_pane(PaneSpec("w01", ("false",), tmp_path))
    assert await next_exit(terminal) == PaneExit("w01", first.pane_id, 1, None)
    second = await terminal.open_pane(PaneSpec("w01", SLEEP, tmp_path))
    assert second.pane_id != first.pane_id
    assert len(await terminal.list_panes()) == 1


async def test_a_program_gets_exactly_its_arguments_and_folder_and_no_secret(
    terminal: TmuxTerminal, eventually: Eventually, tmp_path: Path
) -> None:
    folder = tmp_path / "a #(touch pwned) #{pid};"
    folder.mkdir()
    out = tmp_path / "dump.json"
    words = ["it's; #(touch pwned)", "$HOME", "", ";", "a;", "\\;", "--", "{", "~", "한글"]
    argv = ("env", f"OUT={out}", sys.executable, "-c", DUMP, *words)
    await terminal.open_pane(PaneSpec("w01", argv, folder))
    await eventually(lambda: out.exists() and out.read_text().endswith("]"))
    args, environ, cwd = json.loads(out.read_text())
    assert args == words
    assert cwd == str(folder)
    assert not {"AEGIS_SECRET_TOKEN", "SSH_AUTH_SOCK"} & set(environ)
    assert (environ["AEGIS_INSTANCE"], environ["LANG"]) == ("w01", "C.UTF-8")
    assert not list(folder.iterdir())


async def test_a_single_word_is_run_without_a_shell(terminal: TmuxTerminal, tmp_path: Path) -> None:
    pane = await terminal.open_pane(PaneSpec("w01", ("exit 7",), tmp_path))
    assert await next_exit(terminal) == PaneExit("w01", pane.pane_id, 127, None)


async def test_a_pane_is_not_opened_elsewhere_when_its_folder_is_missing(
    terminal: TmuxTerminal, tmp_path: Path
) -> None:
    with pytest.raises(TerminalError):
        await terminal.open_pane(PaneSpec("w01", SLEEP, tmp_path / "missing"))
    assert await terminal.list_panes() == []


@pytest.mark.parametrize("instance", ["", "a:b", "a.b", "../x", "-x", "1", "#(id)", "x" * 65])
async def test_a_name_that_tmux_could_take_for_something_else_is_refused(
    terminal: TmuxTerminal, tmp_path: Path, instance: str
) -> None:
    with pytest.raises(UsageError):
        await terminal.open_pane(PaneSpec(instance, SLEEP, tmp_path))


async def test_a_capture_has_colours_wide_characters_and_history(
    terminal: TmuxTerminal, eventually: Eventually, tmp_path: Path
) -> None:
    text = "printf '\\033[44mblue  \\033[0m\\n안녕 세계 \\033[31mred\\033[0m\\n\\033(0lqk\\033(B\\n'; seq 60; exec cat"
    pane = await terminal.open_pane(PaneSpec("w01", ("sh", "-c", text), tmp_path))
    await eventually(lambda: _contains(terminal, pane.pane_id, "60"))
    shot = (await terminal.capture([pane.pane_id, "%77", "; kill-server"], history_lines=100))[pane.pane_id]
    assert shot.lines[0] == "\x1b[44mblue  "
    assert shot.lines[1].startswith("\x1b[49m안녕 세계 \x1b[31mred")
    assert shot.lines[2].endswith("┌─┐")
    assert shot.lines[3:63] == tuple(map(str, range(1, 61)))
    assert (shot.width, shot.height, shot.cursor_x, shot.cursor_y, shot.alternate) == (200, 50, 0, 49, False)


async def _contains(terminal: TmuxTerminal, pane_id: str, text: str) -> bool:
    return text in await shown(terminal, pane_id)


async def test_captures_by_fork_equal_those_by_control_mode(
    terminal: TmuxTerminal, eventually: Eventually, tmp_path: Path, environment: dict[str, str]
) -> None:
    text = "printf '%%end 1 2 1\\n\\n안녕 \\033[31mred\\n'; exec sleep 60"
    panes = [await terminal.open_pane(PaneSpec(f"w{n}", ("sh", "-c", text), tmp_path)) for n in range(3)]
    ids = [pane.pane_id for pane in panes]
    for pane_id in ids:
        await eventually(lambda pane_id=pane_id: _contains(terminal, pane_id, "red"))
    forking = TmuxTerminal(terminal.socket_name, config_dir=tmp_path / "tmux", environment=environment)
    by_fork = await forking.capture([ids[0], "%99", ids[1], ids[2]], history_lines=5)
    assert by_fork == await terminal.capture(ids, history_lines=5)
    assert list(by_fork) == ids


async def test_ends_are_told_once_with_code_or_signal(terminal: TmuxTerminal, tmp_path: Path) -> None:
    seen: dict[str, list[PaneExit]] = {}

    async def follow() -> None:
        async for end in terminal.exits():
            seen[end.instance] = [*seen.get(end.instance, []), end]

    follower = asyncio.create_task(follow())
    killed = await terminal.open_pane(PaneSpec("w02", SLEEP, tmp_path))
    os.kill(killed.pid, signal.SIGKILL)
    left = await terminal.open_pane(PaneSpec("w01", ("sh", "-c", "exit 7"), tmp_path))
    async with asyncio.timeout(8):
        while len(seen) < 2:
            await terminal._observe()
            await asyncio.sleep(0.05)
    for _ in range(3):
        await terminal._observe()
    await terminal.close()
    await follower
    assert seen == {
        "w01": [PaneExit("w01", left.pane_id, 7, None)],
        "w02": [PaneExit("w02", killed.pane_id, None, 9)],
    }


async def test_an_end_before_anybody_listens_is_kept(
    terminal: TmuxTerminal, tmp_path: Path, environment: dict[str, str]
) -> None:
    pane = await terminal.open_pane(PaneSpec("w01", ("sh", "-c", "exit 7"), tmp_path))
    assert await next_exit(terminal) == PaneExit("w01", pane.pane_id, 7, None)
    successor = TmuxTerminal(terminal.socket_name, config_dir=tmp_path / "tmux", environment=environment)
    await successor.start()
    assert await next_exit(successor) == PaneExit("w01", pane.pane_id, 7, None)
    await successor.close()


async def test_a_killed_server_ends_every_pane_and_can_be_started_again(
    ask: Ask, terminal: TmuxTerminal, tmp_path: Path
) -> None:
    for instance in ("w01", "w02"):
        await terminal.open_pane(PaneSpec(instance, SLEEP, tmp_path))
    os.kill(server_pid(ask), signal.SIGKILL)
    ends = {(await next_exit(terminal)).instance, (await next_exit(terminal)).instance}
    assert ends == {"w01", "w02"}
    with pytest.raises(TerminalUnavailable):
        await terminal.list_panes()
    with pytest.raises(TerminalUnavailable):
        await terminal.capture(["%1"])
    await terminal.start()
    assert await terminal.list_panes() == []
    await terminal.open_pane(PaneSpec("w01", SLEEP, tmp_path))
    assert terminal._link.up.is_set()


async def test_a_server_whose_socket_was_removed_is_not_dead(
    ask: Ask, terminal: TmuxTerminal, tmp_path: Path, eventually: Eventually
) -> None:
    await terminal.open_pane(PaneSpec("w01", SLEEP, tmp_path))
    await terminal._observe()
    socket, (client,) = terminal._server.socket_path, control_clients(ask)
    socket.unlink()
    os.kill(client, signal.SIGKILL)
    await eventually(socket.exists)
    assert len(await terminal.list_panes()) == 1
    assert not terminal._exits._kept


async def test_a_server_whose_socket_was_removed_can_be_stopped(
    ask: Ask, socket_name: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    terminal = TmuxTerminal(socket_name, config_dir=tmp_path / "tmux", environment=environment)
    await terminal.start()
    await terminal.open_pane(PaneSpec("w01", SLEEP, tmp_path))
    server, (client,) = find_identity(server_pid(ask)), control_clients(ask)
    assert server is not None
    terminal._server.socket_path.unlink()
    os.kill(client, signal.SIGKILL)
    await terminal.stop_server()
    assert not is_same_process_alive(server)


async def test_a_killed_control_client_is_replaced_and_nothing_stops_meanwhile(
    ask: Ask, terminal: TmuxTerminal, tmp_path: Path, eventually: Eventually
) -> None:
    pane = await terminal.open_pane(PaneSpec("w01", ("sh", "-c", "echo here; exec sleep 60"), tmp_path))
    (client,) = control_clients(ask)
    os.kill(client, signal.SIGKILL)
    assert (await terminal.find_pane("w01")) is not None
    assert list(await terminal.capture([pane.pane_id])) == [pane.pane_id]
    await eventually(lambda: len(clients := control_clients(ask)) == 1 and client not in clients)
    assert await terminal.capture([pane.pane_id])


async def test_a_server_that_does_not_answer_costs_a_deadline_and_not_the_connection_for_ever(
    ask: Ask, terminal: TmuxTerminal, eventually: Eventually
) -> None:
    client, pid = terminal._link._client, server_pid(ask)
    assert client is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ControlLost, match="in time"):
            await client.request([["list-sessions"]], deadline_s=0.2)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert await terminal.list_panes() == []
    await eventually(lambda: terminal._link._client not in (None, client))


async def test_dirty_names_the_panes_that_wrote_and_merges_what_comes_close_together(
    terminal: TmuxTerminal, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    noisy = await terminal.open_pane(PaneSpec("w01", ("sh", "-c", "while :; do echo x; done"), tmp_path))
    await terminal.open_pane(PaneSpec("w02", SLEEP, tmp_path))
    async with asyncio.timeout(8), contextlib.aclosing(terminal.dirty()) as dirty:
        await anext(dirty)
        begun = loop.time()
        batches = [await anext(dirty) for _ in range(3)]
    assert batches == [frozenset({noisy.pane_id})] * 3
    assert loop.time() - begun >= 0.29


async def test_closing_a_pane_ends_also_what_detached_itself(
    terminal: TmuxTerminal, tmp_path: Path, eventually: Eventually
) -> None:
    out = tmp_path / "pids"
    stubborn = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "for _ in range(2):\n"
        "    if os.fork(): break\n"
        "    os.setsid()\n"
        f"open({str(out)!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
        "time.sleep(60)\n"
    )
    bystander = await terminal.open_pane(PaneSpec("w02", SLEEP, tmp_path))
    pane = await terminal.open_pane(PaneSpec("w01", ("sh", "-c", 'python3 -c "$1" & wait', "sh", stubborn), tmp_path))
    await eventually(lambda: out.exists() and len(out.read_text().split()) == 3)
    identities = [find_identity(int(pid)) for pid in out.read_text().split()] + [find_identity(pane.pid)]
    # The first child ends by itself only when killed; the daemons have pid 1 for a parent by then.
    await terminal.close_pane("w01", grace_s=0.2)
    assert [identity for identity in identities if identity and is_same_process_alive(identity)] == []
    assert [pane.instance for pane in await terminal.list_panes()] == ["w02"]
    assert psutil.pid_exists(bystander.pid)
    assert (await next_exit(terminal)).instance == "w01"
    await terminal.close_pane("w01")


async def test_closing_a_pane_whose_program_is_gone_still_ends_its_daemon(
    terminal: TmuxTerminal, tmp_path: Path, eventually: Eventually
) -> None:
    out = tmp_path / "pid"
    daemon_of = (
        "setsid sh -c 'echo $$ > {0}; exec sleep 60' < /dev/null > /dev/null 2>&1 & until [ -s {0} ]; do :; done"
    )
    argv = ("sh", "-c", daemon_of.format(out))
    await terminal.open_pane(PaneSpec("w01", argv, tmp_path))
    assert (await next_exit(terminal)).status == 0
    daemon = find_identity(int(out.read_text()))
    assert isinstance(daemon, ProcessIdentity)
    await terminal.close_pane("w01", grace_s=0.5)
    assert not is_same_process_alive(daemon)


async def test_stopping_the_server_leaves_neither_process_nor_socket(
    ask: Ask, socket_name: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    terminal = TmuxTerminal(socket_name, config_dir=tmp_path / "tmux", environment=environment)
    await terminal.start()
    pane = await terminal.open_pane(PaneSpec("w01", SLEEP, tmp_path))
    identities = [find_identity(server_pid(ask)), find_identity(pane.pid)]
    socket = terminal._server.socket_path
    assert socket.exists()
    await terminal.stop_server()
    assert not socket.exists()
    assert [identity for identity in identities if identity and is_same_process_alive(identity)] == []
    await terminal.stop_server()


async def test_closing_the_terminal_leaves_the_panes(
    ask: Ask, terminal: TmuxTerminal, tmp_path: Path, environment: dict[str, str]
) -> None:
    pane = await terminal.open_pane(PaneSpec("w01", SLEEP, tmp_path))
    await terminal.close()
    assert control_clients(ask) == []
    other = TmuxTerminal(terminal.socket_name, config_dir=tmp_path / "tmux", environment=environment)
    found = await other.find_pane("w01")
    assert found is not None and found.pid == pane.pid


async def test_a_key_reaches_a_live_pane_once_and_no_dead_one(
    terminal: TmuxTerminal, tmp_path: Path, eventually: Eventually
) -> None:
    pane = await terminal.open_pane(PaneSpec("w01", ("sh", "-c", "read line; echo got; read line"), tmp_path))
    assert await terminal.press(pane.pane_id, "Enter")

    async def got() -> bool:
        return "got" in await shown(terminal, pane.pane_id)

    await eventually(got)
    found = await terminal.find_pane("w01")
    assert found is not None and not found.dead
    assert await terminal.press(pane.pane_id, "Enter")
    await next_exit(terminal)
    assert not await terminal.press(pane.pane_id, "Enter")
    assert not await terminal.press("%99", "Enter") and not await terminal.press("w01", "Enter")
