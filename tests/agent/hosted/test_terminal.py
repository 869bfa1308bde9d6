"""A prompt is typed into a program's own interface exactly once, and its arrival is what the model gets (PANE-4)."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from aegis_tui.agent.hosted import delivery as delivery_module
from aegis_tui.agent.hosted.delivery import Requests, Typist, holds, typed_form
from aegis_tui.agent.hosted.pty_host import PtyHost
from aegis_tui.ports.delivery import Delivery
from tests.agent.hosted.stage import drain

PROGRAM = r"""
import os, sys, termios, time, tty
tty.setraw(0)
if "slow" in sys.argv:
    time.sleep(0.5)
if "deaf" not in sys.argv:
    os.write(1, b"\x1b[?2004h")
box, pasting, seen = b"", False, b""
while True:
    time.sleep(0.1 if "sleepy" in sys.argv else 0)
    seen += os.read(0, 65536)
    while seen:
        if seen.startswith(b"\x1b[200~"):
            pasting, seen = True, seen[6:]
        elif seen.startswith(b"\x1b[201~"):
            pasting, seen = False, seen[6:]
        elif seen.startswith(b"\x1b") and len(seen) < 6:
            break
        elif seen[:1] == b"\r" and not pasting:
            with open(sys.argv[1], "ab") as file:
                file.write(box + b"\0")
            box, seen = b"", seen[1:]
            os.write(1, b"\r\nsent\r\n")
        elif seen[:1] == b"\x15" and not pasting:
            box, seen = b"", seen[1:]
        elif seen[:1] == b"\x04" and not pasting:
            sys.exit(7)
        else:
            box, seen = box + seen[:1], seen[1:]
"""


@dataclass
class Box:
    """A program with an input box, the person's end of its pane, and the requests to its model."""

    host: PtyHost
    typist: Typist
    requests: Requests
    person: int
    sent_file: Path

    def sent(self) -> list[str]:
        data = self.sent_file.read_bytes() if self.sent_file.exists() else b""
        return [part.decode() for part in data.split(b"\0")[:-1]]

    async def typed(self, data: bytes) -> None:
        """Type as a person whose terminal waits while the pane takes no more; the play's deadline bounds it."""
        while data:
            try:
                data = data[os.write(self.person, data) :]
            except BlockingIOError:
                await asyncio.sleep(0.01)

    async def drafted(self) -> None:
        """Return once the program's terminal has got what the person typed; the play's deadline bounds it."""
        while True:
            if not self.host.keys.no_draft.is_set():
                return
            await asyncio.sleep(0.01)

    async def relay(self) -> None:
        """Let each text that the program takes become a request to its model."""
        told = 0
        while True:
            for text in self.sent()[told:]:
                await self.requests.add(json.dumps({"messages": [{"content": f"<user>{text}</user>"}]}).encode())
                told += 1
            await asyncio.sleep(0.01)


Play = Callable[[Callable[[Box], Awaitable[None]]], None]


@asynccontextmanager
async def running(tmp_path: Path, *arguments: str, relays: bool = True) -> AsyncIterator[Box]:
    program = tmp_path / "box.py"
    program.write_text(PROGRAM)
    person, pane = pty.openpty()
    os.set_blocking(person, False)
    argv = [sys.executable, str(program), str(tmp_path / "sent"), *arguments]
    requests = Requests()
    try:
        async with PtyHost(argv, cwd=tmp_path, environment=dict(os.environ), pane=(pane, pane)) as host:
            box = Box(host, Typist(host, requests), requests, person, tmp_path / "sent")
            relay = asyncio.create_task(box.relay() if relays else asyncio.sleep(60))
            reading = asyncio.create_task(drain(person))
            try:
                yield box
            finally:
                relay.cancel()
                reading.cancel()
                await asyncio.gather(relay, reading, return_exceptions=True)
    finally:
        os.close(person)
        os.close(pane)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_module, "_SETTLED_S", 0.1)
    monkeypatch.setattr(delivery_module, "_ECHO_S", 0.05)
    monkeypatch.setattr(delivery_module, "_READY_S", 2.0)
    monkeypatch.setattr(delivery_module, "_ARRIVAL_S", 2.0)


def play(tmp_path: Path, scenario: Callable[[Box], Awaitable[None]], *arguments: str, relays: bool = True) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30), running(tmp_path, *arguments, relays=relays) as box:
            await scenario(box)

    asyncio.run(bounded())


def test_a_prompt_of_any_content_arrives_unchanged_and_once(tmp_path: Path) -> None:
    text = "first line\n\n\ttabbed ; 'quoted' \"double\" $(no) \\n 한글 🙂 e\u0301 " + "x" * 100_000 + "\nlast"

    async def scenario(box: Box) -> None:
        assert await box.typist.deliver(text) is Delivery.DELIVERED
        assert await box.typist.deliver("and this") is Delivery.DELIVERED
        assert box.sent() == [text, "and this"]

    play(tmp_path, scenario, "slow")


def test_controls_in_a_prompt_press_no_key(tmp_path: Path) -> None:
    async def scenario(box: Box) -> None:
        assert await box.typist.deliver("a\x1b[201~\rb\x03\x04\x15c\x9b1~d") is Delivery.DELIVERED
        assert box.sent() == [typed_form("a\x1b[201~\rb\x03\x04\x15c\x9b1~d")] == ["a[201~bc1~d"]

    play(tmp_path, scenario)


def test_a_program_without_an_input_box_gets_nothing(tmp_path: Path) -> None:
    async def scenario(box: Box) -> None:
        assert await box.typist.deliver("hello") is Delivery.REFUSED
        assert box.sent() == []
        assert await box.typist.deliver("\x1b\x07 ") is Delivery.REFUSED

    play(tmp_path, scenario, "deaf")


def test_a_prompt_that_reaches_no_model_is_not_called_delivered(tmp_path: Path) -> None:
    async def scenario(box: Box) -> None:
        assert await box.typist.deliver("hello") is Delivery.UNKNOWN
        assert box.sent() == ["hello"]

    play(tmp_path, scenario, relays=False)


def test_a_persons_draft_is_neither_sent_nor_mixed_with_a_prompt(tmp_path: Path) -> None:
    async def scenario(box: Box) -> None:
        assert await box.typist.deliver("one") is Delivery.DELIVERED
        os.write(box.person, b"my dra")
        await box.drafted()
        delivering = asyncio.create_task(box.typist.deliver("two"))
        await asyncio.sleep(0.4)
        assert not delivering.done() and box.sent() == ["one"]
        os.write(box.person, b"ft\r")
        assert await delivering is Delivery.DELIVERED
        assert box.sent() == ["one", "my draft", "two"]

    play(tmp_path, scenario)


def test_a_long_text_that_a_person_pastes_reaches_a_busy_program_whole(tmp_path: Path) -> None:
    text = "".join(f"line {number}: 한글 ✓\r" for number in range(2_000))

    async def scenario(box: Box) -> None:
        assert await box.typist.deliver("one") is Delivery.DELIVERED  # from here on the terminal is in raw mode
        await box.typed(b"\x1b[200~" + text.encode() + b"\x1b[201~\r")
        assert await box.typist.deliver("two") is Delivery.DELIVERED
        assert box.sent() == ["one", text, "two"]

    play(tmp_path, scenario, "sleepy")


def test_what_the_terminal_says_of_itself_is_no_draft(tmp_path: Path) -> None:
    async def scenario(box: Box) -> None:
        assert await box.typist.deliver("one") is Delivery.DELIVERED
        os.write(box.person, b"\x1b[?62;4c\x1b_Gi=31;OK\x1b\\\x1b]11;rgb:00/00/00\x07\x1b[A\x1bOP\x1b[<0;3;4M")
        await asyncio.sleep(0.1)
        assert box.host.keys.no_draft.is_set()
        os.write(box.person, b"\x1b[200~pasted\x1b[201~")
        await box.drafted()

    play(tmp_path, scenario)


def test_a_program_that_ends_while_a_prompt_waits_refuses_it(tmp_path: Path) -> None:
    async def scenario(box: Box) -> None:
        assert await box.typist.deliver("one") is Delivery.DELIVERED  # from here on the terminal is in raw mode
        os.write(box.person, b"draft")
        await box.drafted()
        delivering = asyncio.create_task(box.typist.deliver("two"))
        await asyncio.sleep(0.2)
        os.write(box.person, b"\x04")
        assert await delivering in (Delivery.REFUSED, Delivery.UNKNOWN)
        assert box.sent() == ["one"]
        assert await box.host.ended() == 7

    play(tmp_path, scenario)


def test_a_text_is_found_in_any_string_of_a_request_but_not_across_two() -> None:
    body = json.dumps({"a": [{"text": "one two"}, "three"], "b": 4}).encode()
    assert holds(body, " one two ") and holds(body, "three") and not holds(body, "two three")
    assert not holds(b"no json", "no") and not holds(b"\xff", "x")
