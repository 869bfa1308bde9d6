from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.tmux.terminal import TmuxTerminal
from aegis_tui.errors import UsageError
from aegis_tui.ports.terminal import PaneSpec

pytestmark = pytest.mark.anyio
Eventually = Callable[..., Awaitable[Any]]


def as_words(argv: Sequence[str]) -> list[str]:
    """A command line as words that tmux hands on as they are: a semicolon at the end of one would end its command."""
    return [f"{word[:-1]}\\;" if word.endswith(";") else word for word in argv]


class Screen:
    """A tmux of a person, or of the test itself: the only way to see what a terminal would show."""

    def __init__(self) -> None:
        self.name = f"aegis-test-{secrets.token_hex(6)}"

    def run(self, *args: str) -> str:
        command = ["tmux", "-u", "-L", self.name, "-f", "/dev/null", *args]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
        return done.stdout

    def show(self, argv: Sequence[str]) -> None:
        command = ["tmux", "-u", "-L", self.name, "-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "30", "--"]
        null = subprocess.DEVNULL
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TMUX")}
        subprocess.run(
            [*command, *as_words(argv)], stdin=null, stdout=null, stderr=null, timeout=10, check=True, env=environment
        )

    def text(self) -> str:
        return self.run("capture-pane", "-p")

    def close(self) -> None:
        self.run("kill-server")
        folder = Path(os.environ.get("TMUX_TMPDIR", "/tmp"), f"tmux-{os.getuid()}")
        (folder / self.name).unlink(missing_ok=True)


@pytest.fixture
def screen() -> Iterator[Screen]:
    screen = Screen()
    yield screen
    screen.close()


@pytest.fixture
def outer() -> Iterator[Screen]:
    outer = Screen()
    yield outer
    outer.close()


def own_environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "TMUX"}


async def two_panes(terminal: TmuxTerminal, tmp_path: Path) -> None:
    for instance in ("w01", "w02"):
        argv = ("sh", "-c", f"echo I am {instance} 한글; exec cat")
        await terminal.open_pane(PaneSpec(instance, argv, tmp_path))


def views(terminal: TmuxTerminal) -> list[str]:
    command = ["tmux", "-L", terminal.socket_name, "list-sessions", "-F", "#{session_name}"]
    return [name for name in subprocess.check_output(command, text=True, timeout=10).split() if name != "aegis"]


@contextlib.contextmanager
def curious(terminal: TmuxTerminal) -> Iterator[None]:
    """Others ask the server without a pause, each time with a new client."""
    quiet = subprocess.DEVNULL
    asking = ["sh", "-c", f"while tmux -L {terminal.socket_name} list-sessions; do :; done"]
    others = [subprocess.Popen(asking, stdin=quiet, stdout=quiet, stderr=quiet) for _ in range(3)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


async def test_a_person_sees_the_pane_types_into_it_and_comes_back(
    terminal: TmuxTerminal, screen: Screen, eventually: Eventually, tmp_path: Path
) -> None:
    await two_panes(terminal, tmp_path)
    screen.show(
        ["sh", "-c", '"$@"; echo back again; exec cat', "sh", *terminal.attach_argv("w02", environ=own_environ())]
    )
    await eventually(lambda: "I am w02 한글" in screen.text())
    assert "C-] d" in screen.text()
    screen.run("send-keys", "typed by hand", "Enter")
    await eventually(lambda: screen.text().count("typed by hand") == 2)
    assert len(await terminal.list_panes()) == 2
    screen.run("send-keys", "C-]", "d")
    await eventually(lambda: "back again" in screen.text())
    await eventually(lambda: views(terminal) == [])


async def test_people_come_and_go_while_others_ask_the_server(
    terminal: TmuxTerminal, screen: Screen, eventually: Eventually, tmp_path: Path, ask: Callable[..., str]
) -> None:
    """Found in the field: the server, and every agent in it, died of it once in some hundred detaches (PANE-2)."""
    await two_panes(terminal, tmp_path)
    server = ask("display-message", "-p", "#{pid}")

    screen.show(["sh", "-c", "while read line; do :; done"])
    screen.run("set-option", "-g", "remain-on-exit", "on")
    with curious(terminal):
        for _ in range(20):
            argv = terminal.attach_argv("w01", environ=own_environ())
            screen.run("respawn-pane", "-k", "--", *as_words(argv))
            await eventually(lambda: "I am w01" in screen.text())
            screen.run("send-keys", "C-]", "d")
            await eventually(lambda: views(terminal) == [])
    assert ask("display-message", "-p", "#{pid}") == server


async def test_two_people_look_at_different_panes(
    terminal: TmuxTerminal, screen: Screen, outer: Screen, eventually: Eventually, tmp_path: Path
) -> None:
    await two_panes(terminal, tmp_path)
    screen.show(terminal.attach_argv("w01", environ=own_environ()))
    await eventually(lambda: "I am w01" in screen.text())
    outer.show(terminal.attach_argv("w02", environ=own_environ()))
    await eventually(lambda: "I am w02" in outer.text())
    assert "I am w01" in screen.text()


async def test_going_through_the_panes_leaves_out_the_home_window(
    terminal: TmuxTerminal, screen: Screen, eventually: Eventually, tmp_path: Path
) -> None:
    await two_panes(terminal, tmp_path)
    screen.show(terminal.attach_argv("w01", environ=own_environ()))
    await eventually(lambda: "I am w01" in screen.text())
    for key in ("n", "p"):
        for name in ("w02", "w01", "w02", "w01"):
            screen.run("send-keys", "C-]", key)
            await eventually(lambda name=name: f"I am {name}" in screen.text())


async def test_a_reader_cannot_type(
    terminal: TmuxTerminal, screen: Screen, eventually: Eventually, tmp_path: Path
) -> None:
    await two_panes(terminal, tmp_path)
    screen.show(terminal.attach_argv("w01", read_only=True, environ=own_environ()))
    await eventually(lambda: "I am w01" in screen.text())
    screen.run("send-keys", "x", "Enter", "C-]", "d")  # all in one read, as over a slow line
    await eventually(lambda: views(terminal) == [])
    pane = await terminal.find_pane("w01")
    assert pane is not None
    assert (await terminal.capture([pane.pane_id]))[pane.pane_id].lines[1] == ""


async def test_inside_another_tmux_the_pane_comes_in_a_popup(
    terminal: TmuxTerminal, screen: Screen, outer: Screen, eventually: Eventually, tmp_path: Path
) -> None:
    await two_panes(terminal, tmp_path)
    outer.show(["sh", "-c", "echo the outer one; exec cat"])
    inside = own_environ() | {"TMUX": outer.run("display-message", "-p", "#{socket_path},#{pid},0").strip()}
    screen.show(["tmux", "-u", "-L", outer.name, "attach-session"])
    await eventually(lambda: "the outer one" in screen.text())
    argv = terminal.attach_argv("w02", environ=inside)
    assert argv[:2] == ["tmux", "display-popup"]
    popup = await asyncio.create_subprocess_exec(*argv, env=inside, stdin=asyncio.subprocess.DEVNULL)
    await eventually(lambda: "I am w02" in screen.text())
    screen.run("send-keys", "C-]", "d")
    async with asyncio.timeout(8):
        assert await popup.wait() == 0
    await eventually(lambda: "I am w02" not in screen.text() and "the outer one" in screen.text())


async def test_another_socket_folder_is_named_in_the_command(tmp_path: Path, environment: dict[str, str]) -> None:
    given = environment | {"TMUX_TMPDIR": str(tmp_path)}
    terminal = TmuxTerminal("aegis-test-x", config_dir=tmp_path, environment=given)
    assert f"TMUX_TMPDIR={tmp_path}" in terminal.attach_argv("w01", environ={})
    assert terminal.attach_argv("w01", environ={"TERM": "xterm", "TMUX_TMPDIR": str(tmp_path)})[0].endswith("tmux")


async def test_attaching_from_a_pane_of_the_server_itself_selects_the_window(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    terminal = TmuxTerminal("aegis-test-x", config_dir=tmp_path, environment=environment)
    argv = terminal.attach_argv("w01", environ={"TMUX": "/tmp/tmux-0/aegis-test-x,12,0"})
    assert argv[-3:] == ["select-window", "-t", ":=w01"]


async def test_attaching_takes_no_name_that_tmux_could_read_otherwise(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    terminal = TmuxTerminal("aegis-test-x", config_dir=tmp_path, environment=environment)
    with pytest.raises(UsageError):
        terminal.attach_argv("w01;kill-server", environ={})
