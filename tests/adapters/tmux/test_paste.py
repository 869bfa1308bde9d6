from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.tmux.paste import CANONICAL_LINE_BYTES, clean_text
from aegis_tui.adapters.tmux.terminal import TmuxTerminal
from aegis_tui.ports.terminal import Delivery, PaneSpec

pytestmark = pytest.mark.anyio
Ask = Callable[..., str]
Eventually = Callable[..., Awaitable[Any]]
Reader = Callable[[Path], tuple[str, ...]]
BEGIN, END, ENTER = b"\x1b[200~", b"\x1b[201~", b"\r"


async def open_pane(
    terminal: TmuxTerminal, eventually: Eventually, instance: str, argv: tuple[str, ...], cwd: Path
) -> str:
    """A pane whose program has said that it is ready."""
    pane = await terminal.open_pane(PaneSpec(instance, argv, cwd))

    async def is_ready() -> bool:
        shot = (await terminal.capture([pane.pane_id])).get(pane.pane_id)
        return shot is not None and "ready" in shot.lines[0]

    await eventually(is_ready)
    return pane.pane_id


def test_text_is_cleaned_of_everything_that_acts_as_a_key() -> None:
    assert clean_text("a\tb\r\nc\rd\x1b[201~\x00\x7f\x9b31m한글 😀") == "a\tb\ncd[201~31m한글 😀"


async def test_a_long_prompt_arrives_byte_for_byte(
    terminal: TmuxTerminal, raw_reader: Reader, eventually: Eventually, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    prompt = "".join(f'{i}: it\'s "quoted"; $HOME `id` #{{x}} 한글 ✓\ttab;\n' for i in range(450)) + "last;"
    assert len(prompt.encode()) > 20_000
    pane_id = await open_pane(terminal, eventually, "w01", raw_reader(out), tmp_path)
    assert await terminal.paste(pane_id, prompt) is Delivery.DELIVERED
    await eventually(lambda: out.read_bytes().endswith(ENTER))
    assert out.read_bytes() == BEGIN + prompt.encode() + END + ENTER


async def test_a_prompt_cannot_break_out_of_its_paste(
    terminal: TmuxTerminal, raw_reader: Reader, eventually: Eventually, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pane_id = await open_pane(terminal, eventually, "w01", raw_reader(out), tmp_path)
    await terminal.paste(pane_id, "-R x\x1b[201~\rrm -rf\x9b201~\x03")
    await eventually(lambda: out.read_bytes().endswith(ENTER))
    assert out.read_bytes() == BEGIN + b"-R x[201~rm -rf201~" + END + ENTER


async def test_two_pastes_at_once_do_not_mix(
    terminal: TmuxTerminal, raw_reader: Reader, eventually: Eventually, tmp_path: Path
) -> None:
    outs = [tmp_path / "one", tmp_path / "two"]
    panes = [
        await open_pane(terminal, eventually, f"w{number}", raw_reader(out), tmp_path)
        for number, out in enumerate(outs)
    ]
    texts = [letter * 9000 for letter in "abcd"]
    jobs = [(panes[0], texts[0]), (panes[0], texts[1]), (panes[1], texts[2]), (panes[1], texts[3])]
    await asyncio.gather(*(terminal.paste(pane_id, text) for pane_id, text in jobs))
    for out, pair in zip(outs, (texts[:2], texts[2:]), strict=True):
        await eventually(lambda out=out: out.read_bytes().count(ENTER) == 2)
        framed = [BEGIN + text.encode() + END + ENTER for text in pair]
        assert out.read_bytes() in (framed[0] + framed[1], framed[1] + framed[0])


async def test_a_paste_works_without_a_control_client(
    terminal: TmuxTerminal, raw_reader: Reader, eventually: Eventually, tmp_path: Path, environment: dict[str, str]
) -> None:
    out = tmp_path / "out"
    pane_id = await open_pane(terminal, eventually, "w01", raw_reader(out), tmp_path)
    other = TmuxTerminal(terminal.socket_name, config_dir=tmp_path / "tmux", environment=environment)
    assert await other.paste(pane_id, "by fork;") is Delivery.DELIVERED
    await other.send_keys(pane_id, "C-a", ";")
    await eventually(lambda: out.read_bytes() == BEGIN + b"by fork;" + END + ENTER + b"\x01;")


async def test_a_line_that_a_cooked_terminal_would_cut_is_refused(
    terminal: TmuxTerminal, eventually: Eventually, tmp_path: Path
) -> None:
    pane_id = await open_pane(terminal, eventually, "w01", ("sh", "-c", "echo ready; exec cat"), tmp_path)
    assert await terminal.paste(pane_id, "x" * CANONICAL_LINE_BYTES) is Delivery.REFUSED
    assert await terminal.paste(pane_id, "short enough") is Delivery.DELIVERED


async def test_nothing_is_typed_into_a_pane_that_is_dead_or_gone(
    terminal: TmuxTerminal, eventually: Eventually, tmp_path: Path
) -> None:
    pane = await terminal.open_pane(PaneSpec("w01", ("true",), tmp_path))

    async def is_dead() -> bool:
        state = await terminal.find_pane("w01")
        return state is not None and state.dead

    await eventually(is_dead)
    assert await terminal.paste(pane.pane_id, "hello") is Delivery.REFUSED
    assert await terminal.paste("%99", "hello") is Delivery.REFUSED


async def test_an_empty_prompt_is_refused(terminal: TmuxTerminal, eventually: Eventually, tmp_path: Path) -> None:
    pane_id = await open_pane(terminal, eventually, "w01", ("sh", "-c", "echo ready; exec cat"), tmp_path)
    assert await terminal.paste(pane_id, "\x1b\x00") is Delivery.REFUSED


async def test_a_program_that_does_not_react_gives_an_unknown_delivery(
    terminal: TmuxTerminal, eventually: Eventually, tmp_path: Path
) -> None:
    silent = ("sh", "-c", "stty -echo -icanon; echo ready; exec sleep 60")
    pane_id = await open_pane(terminal, eventually, "w01", silent, tmp_path)
    assert await terminal.paste(pane_id, "hello") is Delivery.UNKNOWN


async def test_a_pane_that_a_person_scrolls_is_brought_back_first(
    ask: Ask, terminal: TmuxTerminal, raw_reader: Reader, eventually: Eventually, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pane_id = await open_pane(terminal, eventually, "w01", raw_reader(out), tmp_path)
    ask("copy-mode", "-t", pane_id)
    state = await terminal.find_pane("w01")
    assert state is not None and state.in_mode
    assert await terminal.paste(pane_id, "hello") is Delivery.DELIVERED
    assert out.read_bytes() == BEGIN + b"hello" + END + ENTER


async def test_a_server_that_dies_under_a_paste_never_looks_like_a_delivery(
    ask: Ask, terminal: TmuxTerminal, raw_reader: Reader, eventually: Eventually, tmp_path: Path
) -> None:
    pane_id = await open_pane(terminal, eventually, "w01", raw_reader(tmp_path / "out"), tmp_path)
    pid = int(ask("display-message", "-p", "#{pid}"))
    paste = asyncio.create_task(terminal.paste(pane_id, "x" * 100_000))
    os.kill(pid, signal.SIGKILL)
    assert await paste in (Delivery.REFUSED, Delivery.UNKNOWN)
