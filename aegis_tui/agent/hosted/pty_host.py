"""Runs the program with its own interface on a terminal of its own, and passes it through to the pane (PANE-4).

The pane shows the program's interface, and what a person types reaches it; the wrapper can type too. Bytes are passed
on unchanged in both directions.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import termios
import tty
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aegis_tui.agent.hosted.keys import SEQUENCE, PersonKeys

_CHUNK_BYTES = 64 * 1024
_MODE = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
"""Switches modes of the terminal on or off (ECMA-48, DECSET); 2004 is bracketed paste."""
_LONGEST_MODE_BYTES = 32
_KEPT_BYTES = 64 * 1024
_COLOUR = re.compile(rb"\x1b\[[0-9;:]*m")
_NEW_PLACE = re.compile(rb"\x1b\[[0-9;]*[HfEFd]")
"""Moves the cursor to another line."""


class PtyHost:
    """The program on its terminal, while the context is open; afterwards it and its terminal are gone.

    Args:
        argv: Program and arguments.
        cwd: The worktree.
        environment: All variables of the program.
        pane: The descriptors of the pane's input and output.
        awaited: A text that the program shows when it is ready; empty if none is known.
        interrupts: The keys that end the program's turn, each as the terminal sends it.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        pane: tuple[int, int] = (0, 1),
        awaited: str = "",
        interrupts: Collection[str] = (),
    ) -> None:
        self._awaited = awaited.encode()
        self._argv, self._cwd, self._environment, self._pane = argv, cwd, environment, pane
        self._master = -1
        self._process: asyncio.subprocess.Process | None = None
        self._saved: list[Any] | None = None
        self.takes_paste = False
        """Whether the program has switched bracketed paste on."""
        self.keys = PersonKeys(interrupts)
        """What a person has typed into the pane."""
        self.has_shown = asyncio.Event()
        """Set once the program has shown the awaited text; at once if there is none."""
        if not awaited:
            self.has_shown.set()
        self.written_at = 0.0
        """The time of the loop's clock at which the program wrote to its terminal last."""
        self.written_bytes = 0
        """How much the program has written to its terminal."""
        self._last = bytearray()
        self._unread = bytearray()
        """What a person has typed and the program's terminal has not taken yet."""

    async def __aenter__(self) -> Self:
        """Start the program on a new terminal of the pane's size, and from then on pass bytes between it and the pane.

        If the pane is a terminal, it is in raw mode while the context is open; it need not be one.

        Raises:
            OSError: The program cannot be started, or the system has no new terminal for it.
        """
        self._master, slave = pty.openpty()
        try:
            self.resize()
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                cwd=self._cwd,
                env=dict(self._environment),
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
                preexec_fn=_own_terminal,
            )
        except BaseException:
            os.close(self._master)
            raise
        finally:
            os.close(slave)
        self._open_pane()
        loop = asyncio.get_running_loop()
        os.set_blocking(self._master, False)
        loop.add_reader(self._master, self._on_output)
        loop.add_signal_handler(signal.SIGWINCH, self.resize)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_signal_handler(signal.SIGWINCH)
        loop.remove_reader(self._pane[0])
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGHUP)
            with suppress(TimeoutError):
                async with asyncio.timeout(3.0):
                    await self._process.wait()
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        loop.remove_reader(self._master)
        loop.remove_writer(self._master)
        self._unread.clear()
        os.close(self._master)
        self._close_pane()

    @property
    def code(self) -> int | None:
        """The program's exit code, negative for a signal; None while it runs, and before it was started."""
        return None if self._process is None else self._process.returncode

    @property
    def last_output(self) -> str:
        """The end of what the program wrote (64 KiB) as text, with control sequences; empty if it wrote nothing."""
        return self._last.decode("utf-8", "replace")

    def shown_since(self, written_bytes: int) -> str:
        """Return what the program has written since, as text without control sequences; at most its last 64 KiB.

        Args:
            written_bytes: The value of `written_bytes` at that time.
        """
        count = min(self.written_bytes - written_bytes, len(self._last))
        new = bytes(self._last[len(self._last) - count :])
        text = SEQUENCE.sub(b" ", _NEW_PLACE.sub(b"\n", _COLOUR.sub(b"", new))).decode("utf-8", "replace")
        return "\n".join(" ".join(line.split()) for line in text.splitlines())

    async def ended(self) -> int:
        """Wait until the program has ended and return its exit code, negative for a signal.

        Raises:
            RuntimeError: It was not started.
        """
        if self._process is None:
            raise RuntimeError("the program was not started")
        return await self._process.wait()

    async def type(self, data: bytes) -> None:
        """Write to the program's terminal as a person's keyboard would; wait, without limit, while it does not read.

        What a person has typed before comes first.

        Raises:
            OSError: The program has closed its terminal, or was not started.
        """
        view = memoryview(data)
        while view:
            with suppress(BlockingIOError):
                if not self._unread:
                    view = view[os.write(self._master, view[:4096]) :]
                    continue
            await asyncio.sleep(0.01)

    def resize(self) -> None:
        """Give the program's terminal the size of the pane; if one of them is gone, do nothing."""
        with suppress(OSError):
            size = fcntl.ioctl(self._pane[1], termios.TIOCGWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def _open_pane(self) -> None:
        if os.isatty(self._pane[0]):
            self._saved = termios.tcgetattr(self._pane[0])
            tty.setraw(self._pane[0])
        with suppress(OSError):
            asyncio.get_running_loop().add_reader(self._pane[0], self._on_key)

    def _close_pane(self) -> None:
        if self._saved is not None:
            termios.tcsetattr(self._pane[0], termios.TCSADRAIN, self._saved)

    def _on_output(self) -> None:
        try:
            data = os.read(self._master, _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:  # on Linux, reading fails once the program has closed its terminal
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
            self.keys.no_draft.set()
            return
        self.written_at = asyncio.get_running_loop().time()
        self.written_bytes += len(data)
        for match in _MODE.finditer(self._last[-_LONGEST_MODE_BYTES:] + data):
            if b"2004" in match[1].split(b";"):
                self.takes_paste = match[2] == b"h"
        self._last = (self._last + data)[-_KEPT_BYTES:]
        if self._awaited and self._awaited in SEQUENCE.sub(b"", self._last):
            self._awaited = b""
            self.has_shown.set()
        with suppress(OSError):
            os.write(self._pane[1], data)

    def _on_key(self) -> None:
        try:
            data = os.read(self._pane[0], _CHUNK_BYTES)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._pane[0])
            return
        self._unread += self.keys.take(data)
        self._pass_keys_on()

    def _pass_keys_on(self) -> None:
        """Write what a person has typed to the program's terminal, as far as it takes it now; the rest follows."""
        loop = asyncio.get_running_loop()
        loop.remove_writer(self._master)
        try:
            while self._unread:
                del self._unread[: os.write(self._master, self._unread[:4096])]
        except BlockingIOError:
            loop.add_writer(self._master, self._pass_keys_on)
        except OSError:
            self._unread.clear()


def _own_terminal() -> None:
    """Make the terminal on standard input the controlling one of the new session. Run in the child."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
